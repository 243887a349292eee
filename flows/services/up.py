"""Start what is missing: the server first, then the reports and the worker, each once the one before it answers."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from secrets import token_urlsafe

from flows.prefect_settings import SERVER_SETTINGS, SETTINGS
from flows.services.health import WORKER, reports_answer, server_answers, worker_answers
from flows.services.launch import check_free, start, stop, wait_until
from flows.services.state import Service, Services, ServicesError, Settings, auth_file, password, read, write
from pipeline.config.own_folder import own_folder
from pipeline.store.locks import hold

ORDER = ("server", "reports", "worker")


@dataclass(frozen=True)
class Plan:
    """One service: its command, and how to tell that it is there."""

    name: str
    command: tuple[str, ...]
    answers: Callable[[], bool]


def up(settings: Settings, database_url: str | None) -> tuple[Services, list[str]]:
    """Start the services that do not run yet.

    Args:
        settings: how they are wanted.
        database_url: where the server keeps its records, with credentials; Prefect's own SQLite file when None.

    Returns:
        What runs now, and the names of those that this call started.

    Raises:
        ServicesError: services with other settings run, a port is in use, or one does not start.
    """
    with _alone():
        earlier = read()
        running = earlier.alive() if earlier else {}
        if earlier and running and earlier.settings != settings:
            raise ServicesError(_other(earlier.settings, settings))
        missing = [plan for plan in plans(settings) if plan.name not in running]
        if any(plan.name == "server" for plan in missing):
            check_free(settings.host, settings.port, "--port")
        if any(plan.name == "reports" for plan in missing):
            check_free(settings.host, settings.reports_port, "--reports-port")
        environment = _environment(settings, database_url)
        started: list[Service] = []
        try:
            for plan in missing:
                service = start(plan.name, plan.command, environment, own_folder() / "logs")
                started.append(service)
                running[plan.name] = service
                write(Services(settings=settings, services=tuple(running.values())))
                wait_until(plan.answers, service)
        except BaseException:
            for service in reversed(started):
                stop(service)
            raise
    return Services(settings=settings, services=tuple(running[name] for name in ORDER)), [s.name for s in started]


def plans(settings: Settings) -> tuple[Plan, ...]:
    """The services in the order of their start."""
    python, began = sys.executable, datetime.now(UTC)
    address = ("--host", settings.host, "--port")
    prefect = (python, "-m", "prefect")
    worker = ("worker", "start", "--pool", settings.pool, "--type", "process", "--limit", "1", "--name", WORKER)
    return (
        Plan(
            "server",
            (*prefect, "server", "start", *address, str(settings.port)),
            lambda: server_answers(settings),
        ),
        Plan(
            "reports",
            (python, "-m", "flows.services.reports", settings.store, *address, str(settings.reports_port)),
            lambda: reports_answer(settings),
        ),
        Plan(
            "worker",
            (*prefect, *worker),
            lambda: worker_answers(settings, began),
        ),
    )


def _environment(settings: Settings, database_url: str | None) -> Mapping[str, str]:
    """What the services' environment is: the user's, our settings beneath it, and this server above it."""
    beneath = SETTINGS | SERVER_SETTINGS
    above = {"PREFECT_API_URL": settings.api_url, "TINYBERT_REPORTS_URL": settings.reports_url}
    if database_url is not None:
        above["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database_url
    auth = _password(settings)
    if auth is not None:
        above |= {"PREFECT_SERVER_API_AUTH_STRING": auth, "PREFECT_API_AUTH_STRING": auth}
    if not _loopback(settings.host):
        beneath["PREFECT_SERVER_UI_API_URL"] = "/api"  # whatever a browser elsewhere calls this machine
    return beneath | os.environ | above


def _password(settings: Settings) -> str | None:
    """The server's password: the user's own; beyond this machine one is made if there is none."""
    given = password()
    if given is not None or _loopback(settings.host):
        return given
    path = auth_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(f"tinybert:{token_urlsafe(24)}\n")
    return password()


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _other(there: Settings, asked: Settings) -> str:
    differing = {name: value for name, value in there.model_dump().items() if value != asked.model_dump()[name]}
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in differing.items())
    return f"services are up at {there.ui_url} with {told}: use them as they are, or tinybert down first"


@contextmanager
def _alone() -> Iterator[None]:
    """One start or stop at a time."""
    path = own_folder() / "services.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ServicesError(
            f"cannot write {path.parent}: {error.strerror}; set TINYBERT_HOME to a folder that can"
        ) from error
    with hold(path):
        yield
