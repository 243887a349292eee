"""How a run ends in the Prefect UI: in a state whose message says what came of it, or what is to be mended."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from pipeline.config.run import RunConfig
from pipeline.errors import PipelineError
from pipeline.store.store import Store
from tasks.cancel import RunCancelledError
from tasks.patience import patience

TERMINATED = 143
Run = Callable[[RunConfig, str | None], Any]


def telling(run: Run) -> Callable[..., State[Any]]:
    """Let a flow's function end in a state with a message; one that returns a state has told already.

    A user's mistake is the message, without a traceback; whoever calls the flow is raised it all the same.
    """

    @wraps(run)
    def told(config: RunConfig, until: str | None = None) -> State[Any]:
        try:
            came = run(config, until)
        except RunCancelledError as error:
            return Cancelled(message=str(error), data=error)
        except PipelineError as error:
            return Failed(message=str(error), data=error)
        except Exception:
            raise
        except BaseException:  # Ctrl-C, SIGTERM
            patience.leave()
            raise
        if isinstance(came, State):
            return came
        if came is None:
            return Completed(message=f"{until} and what it needs are there")
        return Completed(message=summary(Store(config.runtime.store), came), data=came)

    return told


@contextmanager
def ending_orderly() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, with a last checkpoint; inside a flow Prefect sees to that."""

    def leave(*_: object) -> None:
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def summary(store: Store, ref: str) -> str:
    """The sentence that a report sums a run up with."""
    return str(store.open(ref).metrics["summary"])
