"""How a run ends in the Prefect UI: in a state whose message says what it achieved, or how to mend what failed."""

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


def report_outcome(run: Run) -> Callable[..., State[Any]]:
    """Wrap a flow's function so that the flow ends in a state with a message.

    For a user's mistake the message is the error, without a traceback; the caller of the flow still gets it raised. A
    state that the function itself returns is passed on.

    Args:
        run: (configuration, last stage) -> ref of the report, None if the run stops before it, or a state.
    """

    @wraps(run)
    def run_to_state(config: RunConfig, until: str | None = None) -> State[Any]:
        try:
            outcome = run(config, until)
        except RunCancelledError as error:
            return Cancelled(message=str(error), data=error)
        except PipelineError as error:
            return Failed(message=str(error), data=error)
        except Exception:
            raise
        except BaseException:  # Ctrl-C, SIGTERM
            patience.leave()
            raise
        if isinstance(outcome, State):
            return outcome
        if outcome is None:
            return Completed(message=f"{until} and what it needs are there")
        return Completed(message=summary(Store(config.runtime.store), outcome), data=outcome)

    return run_to_state


@contextmanager
def ending_orderly() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, with a last checkpoint; within a flow, Prefect does this itself."""

    def leave(*_: object) -> None:
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def summary(store: Store, ref: str) -> str:
    """Return the sentence with which a report sums up its run.

    Args:
        store: the store of the run.
        ref: the report, such as ``report/v0001``.
    """
    return str(store.open(ref).metrics["summary"])
