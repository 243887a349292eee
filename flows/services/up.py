"""Start the services that are not running: server, then reports, then worker, each once the one before answers."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_urlsafe

from flows.prefect_settings import SERVER_SETTINGS, SETTINGS
from flows.services.down import ended
from flows.services.launch import check_free, start, stop, wait_until
from flows.services.state import (
    PASSWORDS,
    Service,
    Services,
    ServicesError,
    Settings,
    alone,
    auth_file,
    is_loopback,
    password,
    read,
    remove,
    write,
)
from flows.services.status import WORKER, reports_answer, server_answers, worker_answers
from pipeline.config.user_dir import user_dir

ORDER = ("server", "reports", "worker")
DATABASE = ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL")
_CREDENTIALS = re.compile(r"(?<=://)[^/]*@|[?].*")  # a query may hold a password too


@dataclass(frozen=True)
class Plan:
    """One service: its command, and a function that checks whether it answers."""

    name: str
    command: tuple[str, ...]
    answers: Callable[[], bool]


def up(settings: Settings, database_url: str | None, say: Callable[[str], None]) -> Services:
    """Start the services that do not run yet.

    Args:
        settings: host, ports, store, work pool and database.
        database_url: URL of the server's database, with credentials; None uses Prefect's own SQLite file.
        say: receives one line for each service that is started or was running.

    Returns:
        The services that run now.

    Raises:
        ServicesError: services with other settings run, a port is in use, or a service does not start.
    """
    with alone():
        running = _running(settings, say)
        missing = [plan for plan in plans(settings) if plan.name not in running]
        for name, option, port in (
            ("server", "--port", settings.port),
            ("reports", "--reports-port", settings.reports_port),
        ):
            if name not in running:
                check_free(settings.host, port, option)
        environment = _environment(settings, database_url)
        started: list[Service] = []
        try:
            for plan in missing:
                say(f"starting the {plan.name} ...")
                service = start(plan.name, plan.command, environment, user_dir() / "logs")
                started.append(service)
                _written(settings, [*running.values(), *started])
                wait_until(plan.answers, service)
        except BaseException:
            for service in reversed(started):
                stop(service)
            _written(settings, running.values())
            raise
        if not missing:
            say("everything is up already")
        return _written(settings, [*running.values(), *started])


def _running(settings: Settings, say: Callable[[str], None]) -> dict[str, Service]:
    """Return the services of an earlier start that still run, if their settings are the same."""
    earlier = read()
    if earlier is None:
        return {}
    running = earlier.alive()
    if running and earlier.settings != settings:
        raise ServicesError(_other(earlier.settings, settings))
    for service in earlier.services:
        if service.name not in running:
            say(ended(service))
    return running


def _written(settings: Settings, services: Iterable[Service]) -> Services:
    """Write the running services to the state file, in the order of their start."""
    ordered = sorted(services, key=lambda service: ORDER.index(service.name))
    written = Services(settings=settings, services=tuple(ordered))
    if written.services:
        write(written)
    else:
        remove()
    return written


def plans(settings: Settings) -> tuple[Plan, ...]:
    """Return the services to start, in order."""
    python, began = sys.executable, datetime.now(UTC)
    address = ("--host", settings.host, "--port")
    prefect = (python, "-m", "prefect")
    reports = (python, "-m", "flows.services.reports", settings.store)
    worker = ("worker", "start", "--pool", settings.pool, "--type", "process", "--limit", "1", "--name", WORKER)
    return (
        Plan("server", (*prefect, "server", "start", *address, str(settings.port)), lambda: server_answers(settings)),
        Plan("reports", (*reports, *address, str(settings.reports_port)), lambda: reports_answer(settings)),
        Plan("worker", (*prefect, *worker), lambda: worker_answers(settings, began)),
    )


def _environment(settings: Settings, database_url: str | None) -> Mapping[str, str]:
    """Return the services' environment: the user's, completed by our settings, with this server's address."""
    # Browsers elsewhere may need another address for the reports: what the user set wins.
    beneath = SETTINGS | SERVER_SETTINGS | {"TINYBERT_REPORTS_URL": settings.reports_url}
    above = {"PREFECT_API_URL": settings.api_url}
    if database_url is not None:
        above["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database_url
    auth = _password(settings)
    if auth is not None:
        above |= {"PREFECT_SERVER_API_AUTH_STRING": auth, "PREFECT_API_AUTH_STRING": auth}
    if not is_loopback(settings.host):
        beneath["PREFECT_SERVER_UI_API_URL"] = "/api"  # whatever a browser elsewhere calls this machine
    return beneath | os.environ | above


def _password(settings: Settings) -> str | None:
    """Return the server's password: the user's; if it listens beyond this machine, else a generated one."""
    given = password()
    if given is not None or is_loopback(settings.host):
        return given
    path = auth_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(f"tinybert:{token_urlsafe(24)}\n")
    return password()


def _other(running: Settings, requested: Settings) -> str:
    differing = {name: value for name, value in running.model_dump().items() if value != getattr(requested, name)}
    named = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in differing.items())
    return f"services are up at {running.ui_url} with {named}: use them as they are, or tinybert down first"


def database(url: str | None) -> tuple[str | None, str]:
    """Return the URL of the server's database, and the same without credentials.

    Args:
        url: the URL that the user gave; None reads it from the environment.

    Raises:
        ServicesError: Prefect does not support this kind of database.
    """
    given = url or next((os.environ[name] for name in DATABASE if os.environ.get(name)), None)
    if given is None:
        return None, "SQLite"
    public = _CREDENTIALS.sub("", given)
    if not given.startswith(("postgresql+asyncpg://", "sqlite+aiosqlite://")):
        raise ServicesError(f"{public} is no database for Prefect: write postgresql+asyncpg://USER:PASSWORD@HOST/NAME")
    return given, public


def where_password_is() -> str | None:
    """Return where to find the password that the UI asks for; None if it asks for none."""
    if password() is None:
        return None
    named = next((name for name in PASSWORDS if os.environ.get(name)), None)
    return f"password of the UI and the reports (user:password): {named or auth_file()}"
