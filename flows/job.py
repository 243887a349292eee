"""A scheduled run on several devices: what a work pool's job starts, one process a device.

    torchrun --standalone --nproc-per-node 4 -m flows.job

The first process executes the flow run that ``PREFECT__FLOW_RUN_ID`` names, as Prefect's own command would; the
others join it in every stage that trains.
"""

import os
import sys
from typing import Any
from uuid import UUID

from pipeline.errors import ConfigError, PipelineError

FLOW_RUN = "PREFECT__FLOW_RUN_ID"


def main() -> None:
    """Take this process's part in the flow run, and leave with its exit code."""
    from pipeline.training.team import join
    from tasks.ranks import follow

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
    """The flow run that a job is for; raises ``ConfigError`` if there is none."""
    try:
        return UUID(text)
    except ValueError:
        raise ConfigError(
            f"{FLOW_RUN} is {text!r}, not a flow run: a Prefect worker starts this command and sets it; "
            "to run a configuration yourself, use tinybert run"
        ) from None


def execute(identifier: UUID) -> Any:
    """Run a flow run in this process and call its followers in; what the flow returns.

    Leaves as Prefect's own processes do: with 0 once the server knows how it ended, well or not.
    """
    from flows.prefect_settings import apply

    apply()
    from prefect.engine import handle_engine_signals
    from prefect.flow_engine import load_flow, load_flow_run, run_flow

    from pipeline.config.run import RunConfig
    from tasks.ranks import begin, leading

    with handle_engine_signals(identifier), leading():
        flow_run = load_flow_run(flow_run_id=identifier)
        flow: Any = load_flow(flow_run)
        begin(RunConfig.model_validate(flow_run.parameters["config"]), flow_run.parameters.get("until"))
        return run_flow(flow, flow_run=flow_run)


if __name__ == "__main__":
    main()
