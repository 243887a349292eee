"""Decide which failures are retried: lost connections, and nothing else.

A mistake in the configuration stays one, a loss that is not finite comes again from the same data, and a full disk or
device needs a person. The next run resumes after all of those.
"""

from collections.abc import Iterator
from typing import Any

import httpx

from pipeline.hub import ASKED_FOR, LOST

RETRY_DELAYS = [10.0, 60.0]
CONNECTION = (*LOST, httpx.TransportError)


def transient(error: BaseException) -> bool:
    """Return whether trying again soon may help: the error is a lost connection, or was raised from one."""
    chain = list(_causes(error))
    return any(isinstance(one, CONNECTION) for one in chain) and ASKED_FOR not in {type(one).__name__ for one in chain}


def retry_condition(_task: Any, _task_run: Any, state: Any) -> bool:
    """Tell Prefect whether to retry a failed task."""
    found = state.data
    error = getattr(found, "result", found)
    return isinstance(error, BaseException) and transient(error)


def again_in(error: BaseException, attempts: int) -> float | None:
    """Return the seconds until a failed task is retried; None if it is not.

    Args:
        error: the error it failed with.
        attempts: number of attempts so far.
    """
    return RETRY_DELAYS[attempts - 1] if attempts <= len(RETRY_DELAYS) and transient(error) else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and the chain of its explicit causes; implicit contexts do not count."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__
