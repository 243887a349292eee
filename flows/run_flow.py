"""Run a flow from the command line, without Prefect if its server cannot be reached or goes away."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from httpx import TransportError
from rich.console import Console
from rich.markup import escape

from flows.leaving import leaving
from flows.plan import plan_run
from flows.prefect_settings import apply, why_unreachable
from flows.run_name import as_template, run_name
from flows.terminal import watching
from pipeline.config.run import RunConfig
from pipeline.stages.comparison import Comparison
from pipeline.stages.graph import two_stage
from tasks.build import build_stages
from tasks.patience import patience


@dataclass(frozen=True)
class Work:
    """What a command does as a flow, and how it is done without Prefect.

    Attributes:
        stages: names of its stages in their order, for "4 of 12".
        check: refuses what would fail only after hours.
        as_flow: runs the flow; called once Prefect's settings stand.
        alone: does the same without Prefect.
    """

    stages: Sequence[str]
    check: Callable[[], object]
    as_flow: Callable[[], object]
    alone: Callable[[], object]


def run_flow(config: RunConfig, until: str | None, changed: list[str], console: Console, *, quiet: bool) -> None:
    """Run the stages that are not finished, with Prefect if its server answers, else without.

    Args:
        config: configuration of the run.
        until: last stage; None runs all.
        changed: ``key=value`` of each override of the command line, for the flow run's name.
        console: console for the progress.
        quiet: show no progress.
    """

    def as_flow() -> None:
        from flows.two_stage import two_stage_flow

        name = run_name(config.name, datetime.now().astimezone(), changed)
        two_stage_flow.with_options(flow_run_name=as_template(name))(config, until)

    stages = two_stage(config, until=until)
    work = Work(
        [stage.name for stage in stages],
        lambda: plan_run(config, until, ask_hub=True),
        as_flow,
        lambda: build_stages(stages, config.runtime),
    )
    _do(work, console, quiet=quiet)


def run_comparison(wanted: Comparison, console: Console, *, quiet: bool) -> None:
    """Run several runs one after the other, each a flow run below one of the comparison, and make their table.

    Args:
        wanted: the runs, and the stage of the table.
        console: console for the progress.
        quiet: show no progress.
    """

    def as_flow() -> None:
        from flows.comparison import comparison_flow

        comparison_flow(wanted)

    def alone() -> None:
        for config, until in wanted.runs:
            build_stages(two_stage(config, until), config.runtime)
        build_stages([wanted.stage], wanted.runs[0][0].runtime)

    def check() -> None:
        for config, until in wanted.runs:
            plan_run(config, until, ask_hub=True)

    _do(Work([], check, as_flow, alone), console, quiet=quiet)


def _do(work: Work, console: Console, *, quiet: bool) -> None:
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

    with leaving(), watching(console, quiet=quiet, stages=work.stages):
        if unreachable is not None:
            say(f"Prefect cannot be reached ({unreachable}): the run goes on without its UI")
            work.check()
            _alone(work)
            return
        patience.tell = lambda why: say(f"Prefect's server is gone ({why}): the run goes on without it")
        logging.raiseExceptions = False  # Prefect would say of every line of a log that it cannot be sent
        try:
            work.as_flow()
        except TransportError:
            if patience.ended or not patience.silent:
                raise
            _alone(work)  # what is finished is there


def _alone(work: Work) -> None:
    from tasks.ending import ending_orderly

    with ending_orderly():
        work.alone()
