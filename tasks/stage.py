"""A stage as a Prefect task: the store decides whether it runs, Prefect shows the outcome."""

from typing import Any, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import task_run
from prefect.states import Completed, Failed

from pipeline.config.runtime import Runtime
from pipeline.errors import PipelineError
from pipeline.store.stage import Stage
from tasks.build import build_stage
from tasks.fan_out import fan_out_of
from tasks.live import live
from tasks.progress import listening, progress_for
from tasks.publish import publish, report_failure
from tasks.retries import RETRY_DELAYS, again_in, retry_condition


def on_failure(_task: Any, run: Any, state: State[Any]) -> None:
    """Report a stage that has finally failed, after all retries."""
    with get_client(sync_client=True) as client:
        report_failure(client, run.name, state.message or state.name or "", run.id, run.flow_run_id)


@task(
    name="stage",
    task_run_name="{name}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=len(RETRY_DELAYS),
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=retry_condition,
    on_failure=[on_failure],
)
def materialize_stage(name: str, stage: Stage[Any], runtime: Runtime) -> State[Any]:
    """Find or build a stage's artifact.

    Returns:
        Reused, Resumed or Completed, naming the artifact; Failed, saying what the user can mend.
    """
    logger = get_run_logger()
    usual = progress_for(name, logger)
    try:
        with live(name, usual) as progress, listening(lambda _stage: progress):
            outcome, message = build_stage(stage, runtime, logger, fan_out_of(name, runtime.workers))
    except PipelineError as error:
        seconds = again_in(error, task_run.run_count or 1)
        if seconds is not None:  # the next line may be minutes away
            usual.note(f"{error}; trying again in {seconds:.0f} s")
        return Failed(message=str(error), data=error)
    publish(outcome)
    return Completed(name=outcome.state.capitalize(), message=message, data=outcome.artifact.ref)


def run_stage(stage: Stage[Any] | None, runtime: Runtime) -> str | None:
    """Run a stage as a task and wait for it; return its artifact's ref, None for a stage that is left out.

    Args:
        stage: the stage; None if the run has none.
        runtime: device, store, threads.

    Raises:
        Exception: the error that the stage raised.
    """
    if stage is None:
        return None
    state = materialize_stage(stage.name, stage, runtime, return_state=True)
    return cast("str", state.result())
