"""The hub on the network: whether it can be reached, and whether an error is a connection to it that was lost.

A hub that cannot be reached is known within seconds, and what its cache holds is used without it. Left to itself the
hub's client would try each file for half a minute.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from huggingface_hub import constants
from huggingface_hub.utils import httpx  # type: ignore[attr-defined] # it stands for whichever client is in use

from pipeline.errors import PipelineError

LOST = (ConnectionError, TimeoutError, httpx.TransportError)  # the hub's client has errors of its own
ASKED_FOR = "OfflineModeIsEnabled"  # the hub's way to say that it was told not to connect
TRY_SECONDS, ANSWER_SECONDS, PAUSE_SECONDS = 8.0, 4.0, 2.0
PORTS = {"http": 80, "https": 443}


@contextmanager
def asking_hub(name: str, mend: str, refusal: type[PipelineError]) -> Iterator[None]:
    """Load something that may lie on the hub; a local folder asks nobody.

    Args:
        name: folder or hub id.
        mend: what to do where there is no network, as the message ends.
        refusal: the error when the hub cannot be reached, or is lost on the way, and its cache does not help.
    """
    if Path(name).is_dir() or constants.HF_HUB_OFFLINE:
        yield
        return
    why = why_unreachable()
    try:
        with nullcontext() if why is None else _without_network():
            yield
    except Exception as error:
        lost = why or lost_connection(error)
        if lost is None:
            raise
        raise refusal(_said(name, lost, "cannot be reached" if why else "was lost", mend)) from lost


def require_hub(name: str, mend: str, refusal: type[PipelineError]) -> None:
    """Refuse what is neither here nor in the hub's cache while the hub cannot be reached.

    Args:
        name: hub id.
        mend: what to do where there is no network, as the message ends.
        refusal: the error.
    """
    if constants.HF_HUB_OFFLINE or any(folder.is_dir() for folder in _cached(name)):
        return
    why = why_unreachable()
    if why is not None:
        raise refusal(_said(name, why, "cannot be reached", mend)) from why


def _cached(name: str) -> Iterator[Path]:
    """Where models, data sets, and data sets that were made into tables lie in the cache, whole or in part."""
    flat = name.replace("/", "--")
    yield from (Path(constants.HF_HUB_CACHE) / f"{kind}--{flat}" for kind in ("models", "datasets"))
    yield Path(constants.HF_HOME) / "datasets" / name.replace("/", "___")


def _said(name: str, lost: BaseException, how: str, mend: str) -> str:
    reason = " ".join(str(lost).split()) or type(lost).__name__
    return (
        f"cannot load {name!r}: there is no such folder here, and the hub {constants.ENDPOINT} {how} ({reason}): "
        f"check the connection, or {mend}"
    )


def lost_connection(error: BaseException) -> BaseException | None:
    """The lost connection that an error comes from, as far as the libraries say; None if it has another cause."""
    chain = []
    current: BaseException | None = error
    while current is not None:
        chain.append(current)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    if ASKED_FOR in {type(each).__name__ for each in chain}:
        return None
    return next((each for each in chain if isinstance(each, LOST)), None)


def why_unreachable() -> OSError | None:
    """Try to reach the hub, or the proxy before it, for a few seconds; the last error, None once it is reached."""
    host, port = _address()
    began = time.monotonic()
    while True:
        try:
            socket.create_connection((host, port), timeout=ANSWER_SECONDS).close()
        except OSError as error:
            if time.monotonic() - began + PAUSE_SECONDS > TRY_SECONDS:
                return error if isinstance(error, LOST) else ConnectionError(str(error))
        else:
            return None
        time.sleep(PAUSE_SECONDS)


def _address() -> tuple[str, int]:
    hub = urlsplit(constants.ENDPOINT)
    proxies = getproxies()
    proxy = proxies.get(hub.scheme) or proxies.get("all")
    found = urlsplit(proxy if "://" in proxy else f"http://{proxy}") if proxy and not _direct(hub.hostname) else hub
    return found.hostname or "", found.port or PORTS.get(found.scheme, 443)


def _direct(host: str | None) -> bool:
    return bool(host and proxy_bypass(host))


@contextmanager
def _without_network() -> Iterator[None]:
    """The hub's client as it is offline: whatever is not in its cache fails at once."""
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
