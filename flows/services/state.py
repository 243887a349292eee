"""The state file of ``tinybert up``: its settings without secrets, and each process with its command.

A process number alone proves nothing, because numbers are reused: a process is ours only while it runs the command
that the file names beside its number.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.config.user_dir import user_dir
from pipeline.errors import PipelineError
from pipeline.store.disk import write_atomic
from pipeline.store.locks import hold

PASSWORDS = ("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING")


class ServicesError(PipelineError):
    """A service (server, worker or reports) cannot be started, reached or stopped."""


class Settings(BaseModel):
    """The settings of the services; a second start with equal settings reuses those that run.

    Args:
        host: address on which the server and the reports listen.
        port: port of the server.
        reports_port: port of the reports.
        store: folder of the store whose reports are served, absolute.
        pool: work pool that the worker serves.
        database: URL of the server's database, without credentials.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    port: int
    reports_port: int
    store: str
    pool: str
    database: str

    @property
    def ui_url(self) -> str:
        """Address of the UI on this machine."""
        return f"http://{self._near}:{self.port}"

    @property
    def api_url(self) -> str:
        """Address of the server's API for clients on this machine."""
        return f"{self.ui_url}/api"

    @property
    def reports_url(self) -> str:
        """Address of the store's reports on this machine."""
        return f"http://{self._near}:{self.reports_port}"

    @property
    def _near(self) -> str:
        near = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}  # noqa: S104 - what to call it, not to bind it
        return near.get(self.host, self.host)


class Service(BaseModel):
    """One process: its name, number, command and log file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    pid: int
    command: tuple[str, ...]
    log: str

    def alive(self) -> bool:
        """Return whether the process still runs its command."""
        import psutil  # most commands know these services and ask after none

        try:
            return tuple(psutil.Process(self.pid).cmdline()) == self.command
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False


class Services(BaseModel):
    """The services that one ``tinybert up`` started."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: Settings
    services: tuple[Service, ...] = ()

    def alive(self) -> dict[str, Service]:
        """Return name -> service, of the services that run."""
        return {service.name: service for service in self.services if service.alive()}


def state_file() -> Path:
    """Return the path of this user's state file."""
    return user_dir() / "services.json"


def auth_file() -> Path:
    """Return the path of the generated password, which only its user can read."""
    return user_dir() / "auth"


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other start or stop of this user is under way, and keep others waiting: they write the same file.

    Raises:
        ServicesError: the project's own folder cannot be written.
    """
    with ExitStack() as held:
        try:
            held.enter_context(hold(user_dir() / "services.lock"))
        except OSError as error:
            raise ServicesError(
                f"cannot write {user_dir()}: {error.strerror}; set TINYBERT_HOME to a folder that can"
            ) from error
        yield


def read() -> Services | None:
    """Read the state file; None if nothing was started, or all was stopped.

    Raises:
        ServicesError: the file cannot be parsed.
    """
    path = state_file()
    try:
        return Services.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ServicesError(
            f"{path} cannot be read as what tinybert up wrote: end its processes yourself, and delete it"
        ) from error


def write(services: Services) -> None:
    """Write the state file.

    Raises:
        ServicesError: the folder cannot be written.
    """
    path = state_file()
    try:
        write_atomic(path, services.model_dump_json(indent=2).encode())
    except OSError as error:
        raise ServicesError(f"cannot write {path}: {error.strerror}; set TINYBERT_HOME to a folder that can") from error


def remove() -> None:
    """Delete the state file, after all services were stopped."""
    state_file().unlink(missing_ok=True)


def password() -> str | None:
    """Return the server's credentials (user:password) for Prefect's clients: the user's, else generated ones."""
    given = next((os.environ[name] for name in PASSWORDS if os.environ.get(name)), None)
    try:
        return given or auth_file().read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def surroundings() -> dict[str, str]:
    """Return the environment variables with which a run uses the running server.

    They are empty if no server runs, or if the user named another one.
    """
    try:
        services = read()
    except ServicesError:
        return {}
    if services is None or "server" not in services.alive():
        return {}
    settings = services.settings
    if os.environ.get("PREFECT_API_URL", settings.api_url) != settings.api_url:
        return {}
    variables = {
        "PREFECT_API_URL": settings.api_url,
        "PREFECT_API_AUTH_STRING": password(),
        "TINYBERT_REPORTS_URL": settings.reports_url,
    }
    return {name: value for name, value in variables.items() if value}


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
