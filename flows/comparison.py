"""Several two-stage runs as flow runs below one, and the table that puts them side by side."""

from datetime import datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Cancelled, Completed, Failed

from flows.run_name import as_template, run_name
from flows.two_stage import two_stage_flow
from pipeline.errors import PipelineError
from pipeline.stages.comparison import Comparison
from tasks.build import upkeep
from tasks.ending import RunCancelledError, cancellable
from tasks.stage import run_stage


def comparison_flow(wanted: Comparison) -> None:
    """Run them in order, then make the table; what two of them share is made once.

    Args:
        wanted: the runs, and the stage of the table. No parameter of the flow run: it is too large for one.
    """
    runtime = wanted.runs[0][0].runtime

    @flow(name="compare-tinybert", persist_result=False)
    def compare(runs: list[str]) -> State[Any]:  # noqa: ARG001 - shown in the UI
        try:
            with cancellable(), upkeep(runtime, get_run_logger()):
                for config, until in wanted.runs:
                    two_stage_flow.with_options(flow_run_name=as_template(config.name))(config, until)
                ref = run_stage(wanted.stage, runtime)
        except RunCancelledError as error:
            return Cancelled(message=str(error), data=error)
        except PipelineError as error:
            return Failed(message=str(error), data=error)
        return Completed(message=f"the table is {ref}", data=ref)

    name = run_name("comparison", datetime.now().astimezone(), list(wanted.stage.config.variants))
    compare.with_options(flow_run_name=as_template(name))([config.name for config, _ in wanted.runs])
