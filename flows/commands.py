"""What ``tinybert run`` and ``tinybert plan`` do, once the command line has been read."""

import json

import typer
from rich.console import Console

from flows.arguments import changes, configuration
from flows.cost import show_cost
from flows.later import Later
from flows.plan import as_json as to_json
from flows.plan import data_warnings, finished, plan_run, print_plan, refuse_lost_hub
from flows.result import outcome, print_outcome
from pipeline.stages.graph import two_stage
from pipeline.store.disk import check_writable
from pipeline.store.store import Store
from pipeline.training.team import join
from tasks.liveness import has_lock_files
from tasks.ranks import begin, follow, leading

run_flow = Later("flows.run_flow:run_flow")


def run(arguments: list[str] | None, recipe: str | None, until: str | None, *, quiet: bool, as_json: bool) -> None:
    """Run what is not finished, and print what came of it.

    Args:
        arguments: a file and overrides, as they were typed.
        recipe: to start from.
        until: the last stage.
        quiet: show no progress.
        as_json: print JSON.
    """
    own = join()
    if own.follows:
        raise typer.Exit(follow(own))
    console = Console(stderr=as_json)
    with leading():
        config = configuration(arguments, recipe)
        begin(config, until)
        # What a killed run left in the UI is put right by a flow, even where nothing else is to be done.
        steps = plan_run(config, until)
        if finished(steps) and not has_lock_files(Store(config.runtime.store).root):
            if not (quiet or as_json):
                console.print("Every stage is finished and unchanged; nothing to do.")
        else:
            refuse_lost_hub(steps)
            check_writable(Store(config.runtime.store).root)  # a flow run that could only fail is not begun
            run_flow(config, until, changes(arguments), console, quiet=quiet or as_json)
    result = outcome(two_stage(config, until=until), Store(config.runtime.store))
    if as_json:
        print(json.dumps(result))  # noqa: T201 - what the script asked for
    else:
        print_outcome(result, console)


def plan(arguments: list[str] | None, recipe: str | None, until: str | None, *, cost: bool, as_json: bool) -> None:
    """Print what a run would do.

    Args:
        arguments: a file and overrides, as they were typed.
        recipe: to start from.
        until: the last stage.
        cost: print what it would cost instead.
        as_json: print JSON.
    """
    config = configuration(arguments, recipe)
    steps, store = plan_run(config, until), Store(config.runtime.store)
    if cost:
        show_cost(config, steps, until, as_json=as_json)
    elif as_json:
        warnings = data_warnings(config, steps, store)
        print(json.dumps(to_json(steps, store, warnings)))  # noqa: T201 - what the script asked for
    else:
        print_plan(steps, store, Console(), data_warnings(config, steps, store))
