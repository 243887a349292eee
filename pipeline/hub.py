"""Check whether the hub can be reached, and whether an error is a lost connection to it.

If the hub cannot be reached, that is known within seconds, and its cache is used. The hub's client alone would try each
file for half a minute.
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
ASKED_FOR = "OfflineModeIsEnabled"  # the hub's error if the user has forbidden it to connect
TRY_SECONDS, ANSWER_SECONDS, PAUSE_SECONDS = 8.0, 4.0, 2.0
PORTS = {"http": 80, "https": 443}


@contextmanager
def asking_hub(name: str, mend: str, refusal: type[PipelineError]) -> Iterator[None]:
    """Load something from the hub or its cache in this block; a local folder needs no connection.

    Args:
        name: folder or hub id.
        mend: what to do without a network, the end of the message.
        refusal: class of the error if the hub cannot be reached, or is lost on the way, and its cache does not help.
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
        raise refusal(_message(name, lost, "cannot be reached" if why else "was lost", mend)) from lost


def require_hub(name: str, mend: str, refusal: type[PipelineError]) -> None:
    """Refuse a hub id that is not in the hub's cache if the hub cannot be reached.

    Args:
        name: hub id.
        mend: what to do without a network, the end of the message.
        refusal: class of the error.
    """
    if constants.HF_HUB_OFFLINE or any(folder.is_dir() for folder in _cached(name)):
        return
    why = why_unreachable()
    if why is not None:
        raise refusal(_message(name, why, "cannot be reached", mend)) from why


def _cached(name: str) -> Iterator[Path]:
    """Yield the cache folders of a model, a data set, and a data set that was converted to tables."""
    flat = name.replace("/", "--")
    yield from (Path(constants.HF_HUB_CACHE) / f"{kind}--{flat}" for kind in ("models", "datasets"))
    yield Path(constants.HF_HOME) / "datasets" / name.replace("/", "___")


def _message(name: str, lost: BaseException, how: str, mend: str) -> str:
    reason = " ".join(str(lost).split()) or type(lost).__name__
    return (
        f"cannot load {name!r}: there is no such folder here, and the hub {constants.ENDPOINT} {how} ({reason}): "
        f"check the connection, or {mend}"
    )


def lost_connection(error: BaseException) -> BaseException | None:
    """Return the lost connection that caused an error; None if it has another cause."""
    chain = []
    current: BaseException | None = error
    while current is not None:
        chain.append(current)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    if ASKED_FOR in {type(cause).__name__ for cause in chain}:
        return None
    return next((cause for cause in chain if isinstance(cause, LOST)), None)


def why_unreachable() -> OSError | None:
    """Try to reach the hub, or its proxy, for a few seconds; return the last error, None if it is reached."""
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
    address = urlsplit(constants.ENDPOINT)
    proxies = getproxies()
    proxy = proxies.get(address.scheme) or proxies.get("all")
    if proxy and not proxy_bypass(address.hostname or ""):
        address = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return address.hostname or "", address.port or PORTS.get(address.scheme, 443)


@contextmanager
def _without_network() -> Iterator[None]:
    """Set the hub's client offline: what is not in its cache fails at once."""
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
