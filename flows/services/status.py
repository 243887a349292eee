"""The state of the services, by process and by answer, and which process trains on which device."""

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
    """Return the state of this user's services and devices on this machine, as JSON values.

    Raises:
        ServicesError: the state file cannot be read.
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
    """Return "up" if the process runs and answers, "silent" if it only runs, else "ended"."""
    if not service.alive():
        return "ended"
    return "up" if ANSWERS[service.name](settings) else "silent"
