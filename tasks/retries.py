"""Which failures pass by themselves: a lost connection, and nothing else.

A mistake stays one however often it is repeated, a loss that is not finite comes again from the same data,
a full disk or a device without memory has to be seen to. The next run resumes all of those.
"""

from collections.abc import Iterator
from typing import Any

import httpx

from pipeline.hub import ASKED_FOR, LOST

RETRY_DELAYS = [10.0, 60.0]
CONNECTION = (*LOST, httpx.TransportError)


def transient(error: BaseException) -> bool:
    """Whether trying again in a moment may help: the error is a lost connection, or was raised from one."""
    chain = list(_causes(error))
    return any(isinstance(one, CONNECTION) for one in chain) and ASKED_FOR not in {type(one).__name__ for one in chain}


def retry_condition(_task: Any, _task_run: Any, state: Any) -> bool:
    """Prefect's question whether a failed task is tried again."""
    found = state.data
    error = getattr(found, "result", found)
    return isinstance(error, BaseException) and transient(error)


def again_in(error: BaseException, attempts: int) -> float | None:
    """Seconds until a failed task is tried again; None if it is not.

    Args:
        error: it failed with.
        attempts: made so far.
    """
    return RETRY_DELAYS[attempts - 1] if attempts <= len(RETRY_DELAYS) and transient(error) else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from, to the bottom; what merely happened before does not count."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__
