"""Limit how long a run waits for a Prefect server that no longer answers: one minute in all, then it goes on without.

Prefect waits a minute for every request, and a run makes several at its end. Here all requests share one wait. A server
that returns within it receives everything; one that returns later receives what happens from then on.
"""

import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import httpx

WAIT_SECONDS = 60.0
# A run that is told to leave waits for no more than one more attempt.
LEAVING_SECONDS = 1.0
# A server that was given up is asked again this often: it may be back, and asking costs time.
SECONDS_BETWEEN_PROBES = 10.0
BROKEN = 500


class ServerGoneError(httpx.TransportError):
    """The server has not answered within the wait; Prefect does not retry this error."""


class Patience:
    """The wait that all requests of this process share.

    Args:
        seconds: how long a server may be silent before it is given up.

    Attributes:
        ended: whether the run was asked to end.
        tell: called once, with the reason, when the server is given up.
        farewell: called when a run that ends has saved its checkpoint.
    """

    def __init__(self, seconds: float = WAIT_SECONDS) -> None:
        self._seconds = seconds
        self._silent_since: float | None = None
        self._asked = 0.0
        self._given_up = False
        self._reason = ""
        self._lock = threading.Lock()
        self.ended = False
        self.farewell: Callable[[], None] = lambda: None
        self.tell: Callable[[str], None] = lambda _line: None

    def __reduce__(self) -> str:
        """Pickle as the name of the module's instance, so that a worker in another process uses its own."""
        return "patience"

    def end(self) -> None:
        """Shorten the wait, because the run was asked to end; a server that answers still receives its last state."""
        self.ended = True
        self._seconds = LEAVING_SECONDS

    def leave(self) -> None:
        """Shorten the wait after everything was saved; Prefect's last requests get only a moment."""
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
        """Register a request before it is sent.

        Raises:
            ServerGoneError: the server was given up, and it is too early to try it again.
        """
        if self.over and time.monotonic() - self._asked < SECONDS_BETWEEN_PROBES:
            self._give_up(self._reason)
        self._asked = time.monotonic()

    def answered(self) -> None:
        """Register an answer of the server."""
        self._silent_since = None

    def failed(self, reason: str) -> None:
        """Register a request that failed.

        Args:
            reason: the error, for people.

        Raises:
            ServerGoneError: requests have failed for longer than the wait.
        """
        if self._silent_since is None:
            self._silent_since = self._asked
        self._reason = reason
        if self.over:
            self._give_up(reason)

    def _give_up(self, reason: str) -> NoReturn:
        with self._lock:
            first, self._given_up = not self._given_up, True
        if first:
            self.tell(reason)
        raise ServerGoneError(reason)


patience = Patience()
Send = Callable[..., Any]


def wait_together() -> None:
    """Let all of Prefect's clients in this process share one wait; Prefect has no setting for that."""
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
    """Wrap a request so that its outcome is registered with the shared wait."""

    def sent(*arguments: Any, **options: Any) -> httpx.Response:
        with _registered_request():
            return _registered(send(*arguments, **options))

    return sent


def _shared_async(send: Callable[..., Awaitable[httpx.Response]]) -> Send:
    """Wrap an asynchronous request likewise."""

    async def sent(*arguments: Any, **options: Any) -> httpx.Response:
        with _registered_request():
            return _registered(await send(*arguments, **options))

    return sent


@contextmanager
def _registered_request() -> Iterator[None]:
    """Register a request with the shared wait, and that it failed if it does."""
    patience.before()
    try:
        yield
    except httpx.TransportError as error:
        patience.failed(str(error) or type(error).__name__)
        raise


def _registered(response: httpx.Response) -> httpx.Response:
    """Register a response; an error of the server, such as a lost database, counts as a failure."""
    if response.status_code >= BROKEN:
        patience.failed(f"it answers {response.status_code}")
    else:
        patience.answered()
    return response
