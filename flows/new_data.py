"""A Prefect flow that runs the stages that depend on changed data, and nothing if no data has changed."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.plan import finished, plan_run
from flows.two_stage import two_stage_flow
from pipeline.config.run import RunConfig
from pipeline.store.store import Store
from tasks.crash_accounting import crash_accounting
from tasks.ending import report_outcome


@flow(name="when-data-changes", flow_run_name="{config.name}: new data?", persist_result=False)
@report_outcome
def new_data_flow(config: RunConfig, until: str | None = None) -> State[Any]:
    """Run the two stages if a corpus or task file has changed, or if the last attempt did not finish.

    Checking costs no more than asking the file system when each file was changed.

    Args:
        config: the run.
        until: stop after this stage; it and what it needs are all that runs.

    Returns:
        The state in which the run ended, or one called Unchanged.
    """
    with crash_accounting(config.runtime.store):
        steps = plan_run(config, until)
        if not finished(steps):
            return two_stage_flow(config, until, return_state=True)
        last, _ = steps[-1]
        ref = Store(config.runtime.store).get(last).ref
        return Completed(name="Unchanged", message=f"nothing has changed since {ref} was made", data=ref)
