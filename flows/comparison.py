"""Several two-stage runs as flow runs below one, and the table that puts them side by side."""

from datetime import datetime

from prefect import flow

from flows.run_name import run_name
from flows.two_stage import two_stage_flow
from pipeline.stages.comparison import Comparison
from tasks.stage import run_stage


def comparison_flow(wanted: Comparison) -> str | None:
    """Run them in order; what two of them share is made once.

    Args:
        wanted: the runs, and the stage of the table. No parameter of the flow run: it is too large for one.

    Returns:
        The ref of the table.
    """
    runtime = wanted.runs[0][0].runtime

    @flow(name="compare-tinybert", persist_result=False)
    def compare(runs: list[str]) -> str | None:  # noqa: ARG001 - shown in the UI
        for config, until in wanted.runs:
            two_stage_flow.with_options(flow_run_name=_escaped(config.name))(config, until)
        return run_stage(wanted.stage, runtime)

    name = run_name("comparison", datetime.now().astimezone(), list(wanted.stage.config.variants))
    return compare.with_options(flow_run_name=_escaped(name))([config.name for config, _ in wanted.runs])


def _escaped(name: str) -> str:
    """The name as a template of Prefect's that is the name itself."""
    return name.replace("{", "{{").replace("}", "}}")
