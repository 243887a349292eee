"""List and cancel the runs that a server shows as unfinished, over plain HTTP: importing Prefect takes seconds."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flows.services.health import ask
from flows.services.state import Settings

AT_WORK = ("RUNNING", "PENDING", "CANCELLING")
CANCELLING = {"type": "CANCELLING", "name": "Cancelling"}
POLL_SECONDS = 1.0
# A cancelled run saves a checkpoint first; one whose process is gone never answers.
CANCEL_SECONDS = 60.0
MOST_NAMED = 5


@dataclass(frozen=True)
class AtWork:
    """One flow run that has begun and not ended."""

    id: str
    name: str
    since: str

    def __str__(self) -> str:
        return f"{self.name} ({self.since})"


def at_work(settings: Settings) -> list[AtWork]:
    """Return the runs at work, in the order of their start; an empty list if the server does not answer."""
    request = {"flow_runs": {"state": {"type": {"any_": AT_WORK}}}, "limit": 200}
    found = ask(f"{settings.api_url}/flow_runs/filter", request)
    runs = found if isinstance(found, list) else []
    return [
        AtWork(one["id"], one["name"], _since(one)) for one in sorted(runs, key=lambda one: one["start_time"] or "")
    ]


def describe(runs: list[AtWork]) -> str:
    """Return the number of runs and the names of the first ones, for messages."""
    named = ", ".join(str(run) for run in runs[:MOST_NAMED])
    more = f" and {len(runs) - MOST_NAMED} more" if len(runs) > MOST_NAMED else ""
    return f"{len(runs)} run{' is' if len(runs) == 1 else 's are'} at work: {named}{more}"


def cancel(settings: Settings, runs: list[AtWork]) -> list[AtWork]:
    """Cancel runs as the UI does and wait until they have ended; return those that did not.

    Args:
        settings: address of the server.
        runs: the runs to cancel; each saves a checkpoint first.
    """
    for run in runs:
        ask(f"{settings.api_url}/flow_runs/{run.id}/set_state", {"state": CANCELLING, "force": True})
    end = time.monotonic() + CANCEL_SECONDS
    cancelled = {run.id for run in runs}
    while (left := [run for run in at_work(settings) if run.id in cancelled]) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
    return left


def wait(settings: Settings, say: Callable[[str], None]) -> None:
    """Wait until no run is at work; say which runs are waited for whenever they change."""
    last: list[AtWork] = []
    while runs := at_work(settings):
        if runs != last:
            say(f"waiting: {describe(runs)}")
            last = runs
        time.sleep(POLL_SECONDS)


def _since(run: dict[str, str]) -> str:
    if not run["start_time"]:
        return "about to begin"
    return f"since {datetime.fromisoformat(run['start_time']).astimezone():%Y-%m-%d %H:%M}"
