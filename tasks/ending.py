"""How a run ends in the Prefect UI: in a state whose message says what came of it, or what is to be mended."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from pipeline.config.run import RunConfig
from pipeline.errors import PipelineError
from pipeline.store.store import Store

Run = Callable[[RunConfig, str | None], Any]


def telling(run: Run) -> Callable[..., State[Any]]:
    """Let a flow's function end in a state with a message; one that returns a state has told already.

    A user's mistake is the message, without a traceback; whoever calls the flow is raised it all the same.
    """

    @wraps(run)
    def told(config: RunConfig, until: str | None = None) -> State[Any]:
        try:
            came = run(config, until)
        except PipelineError as error:
            return Failed(message=str(error), data=error)
        if isinstance(came, State):
            return came
        if came is None:
            return Completed(message=f"{until} and what it needs are there")
        return Completed(message=summary(Store(config.runtime.store), came), data=came)

    return told


def summary(store: Store, ref: str) -> str:
    """The sentence that a report sums a run up with."""
    return str(store.open(ref).metrics["summary"])
