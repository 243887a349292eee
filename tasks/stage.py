"""A stage as a Prefect task: the store decides whether it runs, Prefect shows what came of it."""

from typing import Any, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed

from pipeline.config.runtime import Runtime
from pipeline.store.stage import Stage
from tasks.build import build_stage


@task(name="stage", task_run_name="{name}", cache_policy=NO_CACHE, persist_result=False)
def materialize_stage(
    name: str,  # noqa: ARG001 - the task run is named after it
    stage: Stage[Any],
    runtime: Runtime,
) -> State[Any]:
    """Find or build a stage's artifact; the state says Reused, Resumed or Completed and names it."""
    outcome, message = build_stage(stage, runtime, get_run_logger())
    return Completed(name=outcome.state.capitalize(), message=message, data=outcome.artifact.ref)


def run_stage(stage: Stage[Any] | None, runtime: Runtime) -> str | None:
    """Run a stage's task and wait for it; its artifact's ref, None for a stage that is left out.

    Raises:
        Exception: whatever the stage raised.
    """
    if stage is None:
        return None
    state = materialize_stage(stage.name, stage, runtime, return_state=True)
    return cast("str", state.result())
