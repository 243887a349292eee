"""Whether the services answer, asked over HTTP alone: Prefect takes seconds to load."""

import base64
import json
from datetime import UTC, datetime
from http.client import HTTPException
from platform import node
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from flows.services.state import Settings, password

ANSWER_SECONDS = 3.0
EVER = datetime.min.replace(tzinfo=UTC)
WORKER = f"tinybert on {node()}"


def server_answers(settings: Settings) -> bool:
    """Whether Prefect's server is there and has its database."""
    return ask(f"{settings.api_url}/health") is True


def worker_answers(settings: Settings, since: datetime = EVER) -> bool:
    """Whether the server has heard from our worker lately, and after ``since``."""
    workers = ask(f"{settings.api_url}/work_pools/{quote(settings.pool)}/workers/filter", body={})
    return isinstance(workers, list) and any(
        one["name"] == WORKER
        and one["status"] == "ONLINE"
        and datetime.fromisoformat(one["last_heartbeat_time"]) > since
        for one in workers
    )


def reports_answer(settings: Settings) -> bool:
    """Whether the reports are served; wanting a password is an answer too."""
    try:
        with urlopen(Request(settings.reports_url, method="HEAD"), timeout=ANSWER_SECONDS):  # noqa: S310
            return True
    except HTTPError:
        return True
    except (OSError, HTTPException):
        return False


def ask(url: str, body: object = None) -> Any:
    """The JSON that a URL answers; None if it does not."""
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
