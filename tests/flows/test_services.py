"""What ``tinybert up`` writes down, and what it makes of processes that are gone."""

import json
import os
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.cli import main
from flows.services import up as up_module
from flows.services.launch import start
from flows.services.state import Service, Services, ServicesError, Settings, auth_file, read, state_file, write
from flows.services.up import Plan, database, up

Tinybert = Callable[..., tuple[int, str, str]]
SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TINYBERT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def tinybert(capsys: pytest.CaptureFixture[str]) -> Tinybert:
    def ask(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return ask


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace the services by plain commands that count as there once they run."""

    def replace(**commands: tuple[str, ...]) -> None:
        plans = tuple(Plan(name, command, lambda: True) for name, command in commands.items())
        monkeypatch.setattr(up_module, "plans", lambda _settings: plans)

    return replace


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings(**changes: object) -> Settings:
    given = {"host": "127.0.0.1", "port": free_port(), "reports_port": free_port(), "store": "/store"}
    return Settings.model_validate({**given, "pool": "tinybert", "database": "SQLite", **changes})


@contextmanager
def stopped_afterwards(tinybert: Tinybert) -> Iterator[None]:
    try:
        yield
    finally:
        tinybert("down")


def test_nothing_is_up_before_anything_was_started(tinybert: Tinybert) -> None:
    assert tinybert("down") == (0, "nothing is up\n", "")
    code, out, _ = tinybert("status")
    assert (code, out) == (0, "nothing is up; tinybert up starts the server, a worker and the reports\n")
    _, out, _ = tinybert("status", "--json")
    assert json.loads(out) == {"services": [], "settings": None, "devices": []}


def test_what_is_started_is_stopped_and_nothing_else(tinybert: Tinybert, only: Callable[..., None]) -> None:
    only(server=SLEEP, worker=SLEEP)
    said: list[str] = []
    with stopped_afterwards(tinybert):
        services = up(settings(), None, said.append)
        assert said == ["starting the server ...", "starting the worker ..."]
        bystander = start("bystander", SLEEP, os.environ, state_file().parent)
        assert set(services.alive()) == {"server", "worker"}
        assert up(services.settings, None, said.append) == services
        assert said[-1] == "everything is up already"
        code, out, _ = tinybert("down")
        first, second = services.services
        assert (code, out) == (
            0,
            f"stopped the worker (process {second.pid})\nstopped the server (process {first.pid})\n",
        )
        assert services.alive() == {}
        assert bystander.alive()
        write(Services(settings=services.settings, services=(bystander,)))  # for its end


def test_a_number_that_now_belongs_to_another_process_is_left_alone(tinybert: Tinybert) -> None:
    ours = Service(name="server", pid=os.getpid(), command=("prefect", "server", "start"), log="server.log")
    write(Services(settings=settings(), services=(ours,)))
    _, out, _ = tinybert("status", "--json")
    assert json.loads(out)["services"][0]["health"] == "ended"
    code, out, _ = tinybert("down")
    assert code == 0
    assert out.startswith(f"the server (process {os.getpid()}) had ended already; its entry is removed")
    assert read() is None


def test_what_ended_by_itself_is_started_again_and_the_rest_is_kept(
    tinybert: Tinybert, only: Callable[..., None]
) -> None:
    import psutil

    only(server=SLEEP, worker=SLEEP)
    said: list[str] = []
    with stopped_afterwards(tinybert):
        before = up(settings(), None, said.append).alive()
        killed = psutil.Process(before["server"].pid)
        killed.kill()
        killed.wait()
        after = up(read().settings, None, said.append).alive()  # type: ignore[union-attr]
        assert said[2].startswith(f"the server (process {before['server'].pid}) had ended already")
        assert said[3:] == ["starting the server ..."]
        assert after["worker"] == before["worker"]
        assert after["server"].pid != before["server"].pid


def test_services_with_other_settings_are_named(tinybert: Tinybert, only: Callable[..., None]) -> None:
    only(server=SLEEP)
    with stopped_afterwards(tinybert):
        there = up(settings(store="/a"), None, print).settings
        with pytest.raises(ServicesError, match=r"services are up at .* with store /a: .* tinybert down first"):
            up(there.model_copy(update={"store": "/b"}), None, print)


def test_a_service_that_ends_at_once_is_reported_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    script = "try: raise OSError('no such pool at postgresql://me:secret@host')\nfinally: print('stopped')"
    failing = (sys.executable, "-c", script)
    server, worker = Plan("server", SLEEP, lambda: True), Plan("worker", failing, lambda: False)
    monkeypatch.setattr(up_module, "plans", lambda _settings: (server, worker))
    with pytest.raises(ServicesError, match="the worker ended at once: OSError: no such pool") as told:
        up(settings(), None, print)
    assert "secret" not in str(told.value)
    assert read() is None  # and the server, which had come up, is stopped


@pytest.mark.parametrize(("option", "name"), [("--port", "port"), ("--reports-port", "reports_port")])
def test_a_port_in_use_is_one_line_before_anything_starts(tinybert: Tinybert, option: str, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {"port": free_port(), "reports_port": free_port(), name: taken.getsockname()[1]}
        code, out, err = tinybert(
            "up", "--port", str(ports["port"]), "--reports-port", str(ports["reports_port"]), "--store", "s"
        )
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert f"port {ports[name]} (Address already in use): end what uses it, or choose another with {option}" in err
    assert read() is None


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--port", "70000"), "70000 is no port: choose one from 1 to 65535"),
        (("--host", "256.0.0.1"), "cannot listen on 256.0.0.1"),
        (("--database-url", "mysql://me:secret@host/db"), "mysql://host/db is no database for Prefect"),
    ],
)
def test_what_cannot_be_listened_on_or_spoken_to(tinybert: Tinybert, arguments: tuple[str, ...], line: str) -> None:
    code, _, err = tinybert("up", *arguments)
    assert code == 1
    assert err.count("\n") == 1
    assert line in err
    assert "secret" not in err


def test_a_state_file_that_cannot_be_read_is_one_line(home: Path, tinybert: Tinybert) -> None:
    home.mkdir()
    (home / "services.json").write_text("{")
    for command in ("up", "down", "status"):
        code, _, err = tinybert(command)
        assert (code, err.count("\n")) == (1, 1)
        assert "services.json cannot be read" in err


def test_the_address_of_the_database_is_shown_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    assert database(None) == (None, "SQLite")
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "postgresql+asyncpg://me:secret@host/db")
    assert database(None) == ("postgresql+asyncpg://me:secret@host/db", "postgresql+asyncpg://host/db")
    assert database("sqlite+aiosqlite:////db") == ("sqlite+aiosqlite:////db", "sqlite+aiosqlite:////db")


def test_beyond_this_machine_a_password_is_made_and_kept_from_others(
    home: Path, tinybert: Tinybert, only: Callable[..., None]
) -> None:
    show = (sys.executable, "-c", "import os, time; print(os.environ, flush=True); time.sleep(600)")
    only(server=show)
    with stopped_afterwards(tinybert):
        up(settings(), None, print)
        assert not auth_file().exists()
        tinybert("down")
        service = up(settings(host="0.0.0.0"), None, print).services[0]  # noqa: S104
        assert stat.S_IMODE(auth_file().stat().st_mode) == 0o600
        made = auth_file().read_text().strip()
        assert made.startswith("tinybert:")
        assert len(made) > 40
        assert made not in (home / "services.json").read_text()
        import psutil

        environment = psutil.Process(service.pid).environ()
        assert environment["PREFECT_SERVER_API_AUTH_STRING"] == environment["PREFECT_API_AUTH_STRING"] == made
        assert environment["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"].endswith(".filesystem")
