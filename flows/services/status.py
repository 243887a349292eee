"""What runs: each service by its process and by its answer, and who trains on which device."""

from collections.abc import Callable
from typing import Any, Literal

from flows.services.health import reports_answer, server_answers, worker_answers
from flows.services.state import Service, Services, Settings, read
from tasks.device_lock import holders

Health = Literal["up", "silent", "ended"]
ANSWERS: dict[str, Callable[[Settings], bool]] = {
    "server": server_answers,
    "reports": reports_answer,
    "worker": worker_answers,
}


def status() -> dict[str, Any]:
    """What runs on this machine for this user, as plain values.

    Raises:
        ServicesError: what was written down about the services cannot be read.
    """
    services = read()
    return {
        "services": [] if services is None else [_service(one, services) for one in services.services],
        "settings": None if services is None else services.settings.model_dump(),
        "devices": [holder.model_dump() for holder in holders()],
    }


def _service(service: Service, services: Services) -> dict[str, Any]:
    settings = services.settings
    places = {
        "server": settings.ui_url,
        "reports": settings.reports_url,
        "worker": f"pool {settings.pool}",
    }
    return {
        "name": service.name,
        "pid": service.pid,
        "health": health(service, settings),
        "where": places[service.name],
        "log": service.log,
    }


def health(service: Service, settings: Settings) -> Health:
    """Up: its process runs and answers; silent: it runs; ended: not even that."""
    if not service.alive():
        return "ended"
    return "up" if ANSWERS[service.name](settings) else "silent"
