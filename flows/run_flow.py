"""Run the flow from the command line, without Prefect if its server cannot be reached or goes away."""

import logging
from datetime import datetime

from httpx import TransportError
from rich.console import Console
from rich.markup import escape

from flows.leaving import leaving
from flows.plan import plan_run
from flows.prefect_settings import apply, why_unreachable
from flows.run_name import run_name
from flows.terminal import watching
from pipeline.config.run import RunConfig
from pipeline.stages.graph import two_stage
from tasks.build import build_stages
from tasks.patience import patience


def run_flow(config: RunConfig, until: str | None, changed: list[str], console: Console, *, quiet: bool) -> None:
    """Run the stages that are not finished, with Prefect if its server answers, else without.

    Args:
        config: configuration of the run.
        until: last stage; None runs all.
        changed: ``key=value`` of each override of the command line, for the flow run's name.
        console: console for the progress.
        quiet: show no progress.
    """
    if not quiet:
        console.print("starting Prefect ...", highlight=False)
    apply()
    from flows.temporary_start import start_apart  # it loads Prefect, once its settings stand

    start_apart()
    unreachable = why_unreachable()

    def say(line: str) -> None:
        # Where there is a bar, above it: only its own console knows where that is.
        beside = console if console.is_terminal and not quiet else Console(stderr=True)
        beside.print(escape(line), soft_wrap=True, highlight=False)

    stages = [stage.name for stage in two_stage(config, until=until)]
    with leaving(), watching(console, quiet=quiet, stages=stages):
        if unreachable is not None:
            say(f"Prefect cannot be reached ({unreachable}): the run goes on without its UI")
            plan_run(config, until, ask_hub=True)  # refuse now what would be refused after hours
            _run_alone(config, until)
            return
        from flows.two_stage import two_stage_flow

        patience.tell = lambda why: say(f"Prefect's server is gone ({why}): the run goes on without it")
        logging.raiseExceptions = False  # Prefect would say of every line of a log that it cannot be sent
        name = run_name(config.name, datetime.now().astimezone(), changed)
        try:
            two_stage_flow.with_options(flow_run_name=name.replace("{", "{{").replace("}", "}}"))(config, until)
        except TransportError:
            if patience.ended or not patience.silent:
                raise
            _run_alone(config, until)  # what is finished is there


def _run_alone(config: RunConfig, until: str | None) -> None:
    from tasks.ending import ending_orderly

    with ending_orderly():
        build_stages(two_stage(config, until=until), config.runtime)
