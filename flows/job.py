"""A scheduled run on several devices: what a work pool's job starts, one process a device.

    torchrun --standalone --nproc-per-node 4 -m flows.job

The first process executes the flow run that ``PREFECT__FLOW_RUN_ID`` names, as Prefect's own command would; the
others join it in every stage that trains.
"""

import os
import sys
from typing import Any
from uuid import UUID

from flows.prefect_settings import apply
from pipeline.config.run import RunConfig
from pipeline.errors import ConfigError, PipelineError
from pipeline.training.team import join
from tasks.ranks import begin, follow, leading

FLOW_RUN = "PREFECT__FLOW_RUN_ID"


def main() -> None:
    """Take this process's part in the flow run, and leave with its exit code."""
    try:
        flow_run = flow_run_id(os.environ.get(FLOW_RUN, ""))
        own = join()
        if own.follows:
            sys.exit(follow(own))
        execute(flow_run)
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the job's log
        sys.exit(error.exit_code)


def flow_run_id(text: str) -> UUID:
    """Parse the id of the flow run; raise ``ConfigError`` if it is none."""
    try:
        return UUID(text)
    except ValueError:
        raise ConfigError(
            f"{FLOW_RUN} is {text!r}, not a flow run: a Prefect worker starts this command and sets it; "
            "to run a configuration yourself, use tinybert run"
        ) from None


def execute(identifier: UUID) -> Any:
    """Execute a flow run in this process, with its followers; return what the flow returns.

    The process leaves as Prefect's own: with 0 once the server knows how the run ended, even if it failed.
    """
    apply()
    from prefect import engine, flow_engine  # once its settings stand

    with engine.handle_engine_signals(identifier), leading():
        flow_run = flow_engine.load_flow_run(flow_run_id=identifier)
        flow: Any = flow_engine.load_flow(flow_run)
        begin(RunConfig.model_validate(flow_run.parameters["config"]), flow_run.parameters.get("until"))
        return flow_engine.run_flow(flow, flow_run=flow_run)


if __name__ == "__main__":
    main()
