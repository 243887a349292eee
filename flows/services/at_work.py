"""The runs that a server believes to be at work, asked and cancelled over HTTP alone: Prefect takes seconds to load."""

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
    """One run that has begun and not ended."""

    id: str
    name: str
    since: str

    def __str__(self) -> str:
        return f"{self.name} ({self.since})"


def at_work(settings: Settings) -> list[AtWork]:
    """Who is at work, the first that began first; nobody where the server does not answer."""
    wanted = {"flow_runs": {"state": {"type": {"any_": AT_WORK}}}, "limit": 200}
    found = ask(f"{settings.api_url}/flow_runs/filter", wanted)
    runs = found if isinstance(found, list) else []
    return [
        AtWork(one["id"], one["name"], _since(one)) for one in sorted(runs, key=lambda one: one["start_time"] or "")
    ]


def told(runs: list[AtWork]) -> str:
    """The runs in a few words."""
    named = ", ".join(str(run) for run in runs[:MOST_NAMED])
    more = f" and {len(runs) - MOST_NAMED} more" if len(runs) > MOST_NAMED else ""
    return f"{len(runs)} run{' is' if len(runs) == 1 else 's are'} at work: {named}{more}"


def cancel(settings: Settings, runs: list[AtWork]) -> list[AtWork]:
    """Cancel runs as the UI does, and wait until they have saved their checkpoints; those that did not end."""
    for run in runs:
        ask(f"{settings.api_url}/flow_runs/{run.id}/set_state", {"state": CANCELLING, "force": True})
    end = time.monotonic() + CANCEL_SECONDS
    wanted = {run.id for run in runs}
    while (left := [run for run in at_work(settings) if run.id in wanted]) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
    return left


def wait(settings: Settings, say: Callable[[str], None]) -> None:
    """Wait until nobody is at work, and say for whom whenever that changes."""
    said: list[AtWork] = []
    while runs := at_work(settings):
        if runs != said:
            say(f"waiting: {told(runs)}")
            said = runs
        time.sleep(POLL_SECONDS)


def _since(run: dict[str, str]) -> str:
    if not run["start_time"]:
        return "about to begin"
    return f"since {datetime.fromisoformat(run['start_time']).astimezone():%Y-%m-%d %H:%M}"
