"""Decide which failures are retried: lost connections, and nothing else.

A mistake in the configuration stays one, a loss that is not finite comes again from the same data, and a full disk or
device needs a person. The next run resumes after all of those.
"""

from typing import Any

import httpx

from pipeline.hub import ASKED_FOR, LOST

RETRY_DELAYS = [10.0, 60.0]
CONNECTION = (*LOST, httpx.TransportError)


def transient(error: BaseException) -> bool:
    """Return whether trying again soon may help: the error is a lost connection, or was raised from one."""
    chain = [error]  # of explicit causes; implicit contexts do not count
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    asked_for = ASKED_FOR in {type(link).__name__ for link in chain}
    return not asked_for and any(isinstance(link, CONNECTION) for link in chain)


def retry_condition(_task: Any, _task_run: Any, state: Any) -> bool:
    """Tell Prefect whether to retry a failed task."""
    error = getattr(state.data, "result", state.data)
    return isinstance(error, BaseException) and transient(error)


def again_in(error: BaseException, attempts: int) -> float | None:
    """Return the seconds until a failed task is retried; None if it is not.

    Args:
        error: the error it failed with.
        attempts: number of attempts so far.
    """
    return RETRY_DELAYS[attempts - 1] if attempts <= len(RETRY_DELAYS) and transient(error) else None
