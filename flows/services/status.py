"""What the services of one machine answer: whether they are healthy, and which runs are at work.

They are asked over plain HTTP, because Prefect takes seconds to load.
"""

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from platform import node
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from flows.services.state import Service, Services, Settings, password, read
from tasks.device_lock import holders

ANSWER_SECONDS = 3.0
EVER = datetime.min.replace(tzinfo=UTC)
WORKER = f"tinybert on {node()}"
AT_WORK = ("RUNNING", "PENDING", "CANCELLING")
CANCELLING = {"type": "CANCELLING", "name": "Cancelling"}
POLL_SECONDS = 1.0
# A cancelled run saves a checkpoint first; one whose process is gone never answers.
CANCEL_SECONDS = 60.0
MOST_NAMED = 5


@dataclass(frozen=True)
class FlowRun:
    """A flow run that has begun and not ended.

    Attributes:
        id: its id on the server.
        name: its name in the UI.
        since: when it began, for people.
    """

    id: str
    name: str
    since: str

    def __str__(self) -> str:
        return f"{self.name} ({self.since})"


def status() -> dict[str, Any]:
    """Return the state of this user's services and devices on this machine, as JSON values.

    Raises:
        ServicesError: the state file cannot be read.
    """
    services = read()
    return {
        "services": [] if services is None else [_state(service, services) for service in services.services],
        "settings": None if services is None else services.settings.model_dump(),
        "devices": [holder.model_dump() for holder in holders()],
    }


def _state(service: Service, services: Services) -> dict[str, Any]:
    """Return what is known of a service; "silent" is one that runs and does not answer."""
    settings = services.settings
    where, answers = {
        "server": (settings.ui_url, server_answers),
        "reports": (settings.reports_url, reports_answer),
        "worker": (f"pool {settings.pool}", worker_answers),
    }[service.name]
    health = ("up" if answers(settings) else "silent") if service.alive() else "ended"
    return {"name": service.name, "pid": service.pid, "health": health, "where": where, "log": service.log}


def server_answers(settings: Settings) -> bool:
    """Return whether Prefect's server answers and has its database."""
    return ask(f"{settings.api_url}/health") is True


def worker_answers(settings: Settings, since: datetime = EVER) -> bool:
    """Return whether the server has heard from our worker lately, and after ``since``."""
    workers = ask(f"{settings.api_url}/work_pools/{quote(settings.pool)}/workers/filter", body={})
    return isinstance(workers, list) and any(
        worker["name"] == WORKER
        and worker["status"] == "ONLINE"
        and datetime.fromisoformat(worker["last_heartbeat_time"]) > since
        for worker in workers
    )


def reports_answer(settings: Settings) -> bool:
    """Return whether the reports are served; asking for a password is an answer too."""
    try:
        with urlopen(Request(settings.reports_url, method="HEAD"), timeout=ANSWER_SECONDS):  # noqa: S310
            return True
    except HTTPError:
        return True
    except (OSError, HTTPException):
        return False


def runs_at_work(settings: Settings) -> list[FlowRun]:
    """Return the runs at work, in the order of their start; an empty list if the server does not answer."""
    request = {"flow_runs": {"state": {"type": {"any_": AT_WORK}}}, "limit": 200}
    answer = ask(f"{settings.api_url}/flow_runs/filter", request)
    runs = sorted(answer, key=lambda run: run["start_time"] or "") if isinstance(answer, list) else []
    return [FlowRun(run["id"], run["name"], _since(run["start_time"])) for run in runs]


def describe_runs(runs: list[FlowRun]) -> str:
    """Return the number of runs and the names of the first ones, for messages."""
    named = ", ".join(str(run) for run in runs[:MOST_NAMED])
    more = f" and {len(runs) - MOST_NAMED} more" if len(runs) > MOST_NAMED else ""
    return f"{len(runs)} run{' is' if len(runs) == 1 else 's are'} at work: {named}{more}"


def cancel_runs(settings: Settings, runs: list[FlowRun]) -> list[FlowRun]:
    """Cancel runs as the UI does and wait until they have ended; return those that did not.

    Args:
        settings: address of the server.
        runs: the runs to cancel; each saves a checkpoint first.
    """
    for run in runs:
        ask(f"{settings.api_url}/flow_runs/{run.id}/set_state", {"state": CANCELLING, "force": True})
    end = time.monotonic() + CANCEL_SECONDS
    cancelled = {run.id for run in runs}
    while (left := [run for run in runs_at_work(settings) if run.id in cancelled]) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
    return left


def wait_for_runs(settings: Settings, say: Callable[[str], None]) -> None:
    """Wait until no run is at work; say which runs are waited for whenever they change."""
    last: list[FlowRun] = []
    while runs := runs_at_work(settings):
        if runs != last:
            say(f"waiting: {describe_runs(runs)}")
            last = runs
        time.sleep(POLL_SECONDS)


def ask(url: str, body: object = None) -> Any:
    """Return the JSON that a URL answers; None if it does not."""
    request = Request(url, headers={"Content-Type": "application/json"})  # noqa: S310 - our own http URL
    if body is not None:
        request.data = json.dumps(body).encode()
    if auth := password():
        request.add_header("Authorization", "Basic " + base64.b64encode(auth.encode()).decode())
    try:
        with urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310
            return json.load(answer)
    except (OSError, HTTPException, ValueError):
        return None


def _since(start: str) -> str:
    if not start:
        return "about to begin"
    return f"since {datetime.fromisoformat(start).astimezone():%Y-%m-%d %H:%M}"
