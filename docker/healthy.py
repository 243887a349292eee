"""A container is healthy when what it is there for answers: leaves with 0 if so, with 1 and a line if not.

$HEALTH says what to ask: an address, or ``services`` for Prefect's background services, which have none and
report to Redis instead. Without it there is nothing to ask: a job is healthy while it runs.
"""

import asyncio
import os
import socket
import sys
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.error import HTTPError
from urllib.request import urlopen

TIMEOUT_SECONDS = 5.0
SILENCE_SECONDS = 60.0  # they report every other second


def problem(what: str) -> str | None:
    """Why it is not healthy, in one line; None if it is.

    Args:
        what: an HTTP address, ``services``, or nothing.
    """
    try:
        if what == "services":
            return None if asyncio.run(reported()) else "no background services of this host report to Redis"
        if what:
            urlopen(what, timeout=TIMEOUT_SECONDS).close()  # noqa: S310 - an address of our own
    except HTTPError as error:
        return (
            None if error.code == HTTPStatus.UNAUTHORIZED else f"{what}: {error}"
        )  # whoever asks for a password lives
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not healthy
        return f"{what}: {error or type(error).__name__}"
    return None


async def reported() -> bool:
    """Whether background services on this host were heard of in the last minute."""
    from docket import Docket

    async with Docket(name="prefect-server", url=os.environ["PREFECT_SERVER_DOCKET_URL"]) as docket:
        workers = await docket.workers()
    now = datetime.now(UTC)
    return any(
        worker.name.startswith(f"{socket.gethostname()}#")
        and (now - worker.last_seen).total_seconds() < SILENCE_SECONDS
        for worker in workers
    )


if __name__ == "__main__":
    wrong = problem(os.environ.get("HEALTH", ""))
    if wrong:
        print(wrong, file=sys.stderr)  # noqa: T201 - what docker inspect shows
    sys.exit(1 if wrong else 0)
