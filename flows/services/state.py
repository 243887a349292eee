"""What ``tinybert up`` started, in a file: settings without secrets, and each process with the command it was given.

A process number alone proves nothing, for numbers are given out again: a process is ours while it runs the command
that is written down beside its number.
"""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.config.user_dir import user_dir
from pipeline.errors import PipelineError
from pipeline.store.disk import write_atomic

PASSWORDS = ("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING")


class ServicesError(PipelineError):
    """What runs beside the pipeline cannot be started, reached or stopped."""


class Settings(BaseModel):
    """How the services were asked for; two starts that agree on it are the same.

    Args:
        host: where the server and the reports listen.
        port: of the server.
        reports_port: of the reports.
        store: whose reports are served; absolute.
        pool: the work pool that the worker serves.
        database: where the server keeps its records, without credentials.
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
        """Where the UI is found from this machine."""
        return f"http://{self._near}:{self.port}"

    @property
    def api_url(self) -> str:
        """Where Prefect's clients on this machine find the server."""
        return f"{self.ui_url}/api"

    @property
    def reports_url(self) -> str:
        """Where the store's reports are found from this machine."""
        return f"http://{self._near}:{self.reports_port}"

    @property
    def _near(self) -> str:
        near = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}  # noqa: S104 - what to call it, not to bind it
        return near.get(self.host, self.host)


class Service(BaseModel):
    """One process: what it is, its number, the command it was given, and the file it writes to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    pid: int
    command: tuple[str, ...]
    log: str

    def alive(self) -> bool:
        """Whether that process still runs that command."""
        import psutil  # most commands know these services and ask after none

        try:
            return tuple(psutil.Process(self.pid).cmdline()) == self.command
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False


class Services(BaseModel):
    """Everything that one ``tinybert up`` started."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: Settings
    services: tuple[Service, ...] = ()

    def alive(self) -> dict[str, Service]:
        """Name -> service, of those that run."""
        return {service.name: service for service in self.services if service.alive()}


def state_file() -> Path:
    """Where the services of this user are written down."""
    return user_dir() / "services.json"


def auth_file() -> Path:
    """Where a generated password of the server is kept, readable by its user alone."""
    return user_dir() / "auth"


def read() -> Services | None:
    """What was started last and not stopped since; None if nothing.

    Raises:
        ServicesError: the file cannot be understood.
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
    """Write down what runs.

    Raises:
        ServicesError: the folder cannot be written.
    """
    path = state_file()
    try:
        write_atomic(path, services.model_dump_json(indent=2).encode())
    except OSError as error:
        raise ServicesError(f"cannot write {path}: {error.strerror}; set TINYBERT_HOME to a folder that can") from error


def forget() -> None:
    """Nothing runs any more."""
    state_file().unlink(missing_ok=True)


def password() -> str | None:
    """What Prefect's clients say to our server (user:password): the user's own, or the one that was generated."""
    given = next((os.environ[name] for name in PASSWORDS if os.environ.get(name)), None)
    try:
        return given or auth_file().read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def surroundings() -> dict[str, str]:
    """Environment variables that lead a run to the server that is up; none if none is, or the user named another."""
    try:
        services = read()
    except ServicesError:
        return {}
    if services is None or "server" not in services.alive():
        return {}
    settings = services.settings
    if os.environ.get("PREFECT_API_URL", settings.api_url) != settings.api_url:
        return {}
    found = {
        "PREFECT_API_URL": settings.api_url,
        "PREFECT_API_AUTH_STRING": password(),
        "TINYBERT_REPORTS_URL": settings.reports_url,
    }
    return {name: value for name, value in found.items() if value}
