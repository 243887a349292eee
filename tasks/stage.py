"""A stage as a Prefect task: the store decides whether it runs, Prefect shows what came of it."""

from typing import Any, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed

from pipeline.config.runtime import Runtime
from pipeline.store.materialize import materialize
from pipeline.store.stage import Stage
from pipeline.store.store import Store
from tasks.progress import progress_for


@task(name="stage", task_run_name="{name}", cache_policy=NO_CACHE, persist_result=False)
def materialize_stage(name: str, stage: Stage[Any], runtime: Runtime) -> State[Any]:
    """Find or build a stage's artifact; the state says Reused, Resumed or Completed and names it."""
    progress = progress_for(name, get_run_logger())
    outcome = materialize(stage, Store(runtime.store), runtime, progress)
    ref = outcome.artifact.ref
    message = {
        "reused": f"{ref} was already there",
        "resumed": f"{ref}, continued from what an earlier attempt had left",
        "completed": f"{ref} in {outcome.seconds:.1f} s",
    }[outcome.state]
    progress.note(message)
    return Completed(name=outcome.state.capitalize(), message=message, data=ref)


def run_stage(stage: Stage[Any] | None, runtime: Runtime) -> str | None:
    """Run a stage's task and wait for it; its artifact's ref, None for a stage that is left out.

    Raises:
        Exception: whatever the stage raised.
    """
    if stage is None:
        return None
    state = materialize_stage(stage.name, stage, runtime, return_state=True)
    return cast("str", state.result())
