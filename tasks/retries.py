"""Which failures pass by themselves: a lost connection, and nothing else.

A mistake stays one however often it is repeated, a loss that is not finite comes again from the same data,
a full disk or a device without memory has to be seen to. The next run resumes all of those.
"""

from collections.abc import Iterator
from typing import Any

import httpx

RETRY_DELAYS = [10.0, 60.0]
CONNECTION = (ConnectionError, TimeoutError, httpx.TransportError)
ASKED_FOR = "OfflineModeIsEnabled"  # the hub's way to say that it was told not to connect


def transient(error: BaseException) -> bool:
    """Whether trying again in a moment may help: the error is a lost connection, or was raised from one."""
    chain = list(_causes(error))
    return any(isinstance(one, CONNECTION) for one in chain) and ASKED_FOR not in {type(one).__name__ for one in chain}


def retry_condition(_task: Any, _task_run: Any, state: Any) -> bool:
    """Prefect's question whether a failed task is tried again."""
    found = state.data
    error = getattr(found, "result", found)
    return isinstance(error, BaseException) and transient(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from, to the bottom; what merely happened before does not count."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__
