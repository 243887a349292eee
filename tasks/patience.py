"""How long a run waits for a Prefect server that no longer answers: a minute in all, and then it goes on without it.

Prefect waits a minute for each request anew, and a run makes several at its end. Here all requests share one wait.
A server that comes back within it is told everything; one that comes back later is told what happens from then on.
"""

import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import httpx

WAIT_SECONDS = 60.0
# A run that is told to leave waits for no more than one more attempt.
LEAVING_SECONDS = 1.0
# A server that was given up is asked again this often: it may be back, and asking costs time.
SECONDS_BETWEEN_PROBES = 10.0
BROKEN = 500


class ServerGoneError(httpx.TransportError):
    """The server has not answered for as long as a run waits; Prefect does not try this again."""


class Patience:
    """The wait that all requests of this process share.

    Args:
        seconds: how long a server may be silent before it is given up.

    Attributes:
        ended: the run was told to leave.
        tell: is called once, with the reason, when the server is given up.
        farewell: is called when a run that leaves has saved what it must.
    """

    def __init__(self, seconds: float = WAIT_SECONDS) -> None:
        self._seconds = seconds
        self._silent_since: float | None = None
        self._asked = 0.0
        self._told = False
        self._reason = ""
        self._lock = threading.Lock()
        self.ended = False
        self.farewell: Callable[[], None] = lambda: None
        self.tell: Callable[[str], None] = lambda _line: None

    def end(self) -> None:
        """Wait no more: the run was told to leave. A server that is there is still told of it."""
        self.ended = True
        self._seconds = LEAVING_SECONDS

    def leave(self) -> None:
        """All that matters is saved: what Prefect still has to say has only a moment."""
        self.end()
        self.farewell()

    @property
    def silent(self) -> bool:
        """Whether the last request had no answer."""
        return self._silent_since is not None

    @property
    def over(self) -> bool:
        """Whether the server has been silent for too long."""
        return self._silent_since is not None and time.monotonic() - self._silent_since >= self._seconds

    def before(self) -> None:
        """A request is about to be sent; raises ``ServerGoneError`` where it would only cost time."""
        if self.over and time.monotonic() - self._asked < SECONDS_BETWEEN_PROBES:
            self._give_up(self._reason)
        self._asked = time.monotonic()

    def answered(self) -> None:
        """The server is there."""
        self._silent_since = None

    def failed(self, reason: str) -> None:
        """The server is not there, or broken; raises ``ServerGoneError`` once that has lasted too long."""
        if self._silent_since is None:
            self._silent_since = self._asked
        self._reason = reason
        if self.over:
            self._give_up(reason)

    def _give_up(self, reason: str) -> NoReturn:
        with self._lock:
            said, self._told = self._told, True
        if not said:
            self.tell(reason)
        raise ServerGoneError(reason)


patience = Patience()
Send = Callable[..., Any]


def wait_together() -> None:
    """Let all of Prefect's clients in this process share one wait; it has no setting for it."""
    from prefect.client import base

    if getattr(base, "waits_together", False):
        return
    base.waits_together = True  # type: ignore[attr-defined]
    one_by_one = base.PrefectHttpxSyncClient._send_with_retry  # noqa: SLF001
    one_by_one_async = base.PrefectHttpxAsyncClient._send_with_retry  # noqa: SLF001

    def send(client: Any, request: Any, send: Send, *rest: Any, **options: Any) -> Any:
        return one_by_one(client, request, _shared(send), *rest, **options)

    def send_async(client: Any, request: Any, send: Send, *rest: Any, **options: Any) -> Any:
        return one_by_one_async(client, request, _shared_async(send), *rest, **options)

    base.PrefectHttpxSyncClient._send_with_retry = send  # type: ignore[assignment, method-assign] # noqa: SLF001
    base.PrefectHttpxAsyncClient._send_with_retry = send_async  # type: ignore[assignment, method-assign] # noqa: SLF001


def _shared(send: Send) -> Send:
    """A request that tells the shared patience how it went."""

    def sent(*given: Any, **options: Any) -> httpx.Response:
        patience.before()
        try:
            return _judged(send(*given, **options))
        except httpx.TransportError as error:
            patience.failed(str(error) or type(error).__name__)
            raise

    return sent


def _shared_async(send: Callable[..., Awaitable[httpx.Response]]) -> Send:
    """The same for a request that others may overtake."""

    async def sent(*given: Any, **options: Any) -> httpx.Response:
        patience.before()
        try:
            return _judged(await send(*given, **options))
        except httpx.TransportError as error:
            patience.failed(str(error) or type(error).__name__)
            raise

    return sent


def _judged(response: httpx.Response) -> httpx.Response:
    """A server whose database is away answers that it is broken."""
    if response.status_code >= BROKEN:
        patience.failed(f"it answers {response.status_code}")
    else:
        patience.answered()
    return response
