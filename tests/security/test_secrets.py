"""Secrets planted in the environment of whole runs are in no file, no output, no command line and no answer."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from asking import ask
from prefect_server import free_port
from tiny_run import Tiny, tiny

from flows.services.launch import last_words
from flows.services.state import Service
from flows.services.up import database

PLANTED = {
    "HF_TOKEN": "hf_planted4b1d",
    "AWS_SECRET_ACCESS_KEY": "plantedaws93ce",
    "DATABASE_URL": "postgresql://someone:planteddatabase6f@nowhere/x",
    "SOME_TOKEN": "plantedtoken20aa",
}
WORDS = ("hf_planted4b1d", "plantedaws93ce", "planteddatabase6f", "plantedtoken20aa")


class House:
    """A tiny run, and everything that is written beside it, in one folder.

    Args:
        folder: where; homes included.
        environment: what is set besides.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        (folder / "run").mkdir()
        self.folder = folder
        self.run: Tiny = tiny(folder / "run")
        own = {"HOME": "home", "TINYBERT_HOME": "home/tinybert", "PREFECT_HOME": "home/prefect", "HF_HOME": "home/hf"}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "TINYBERT"))}
        self.environment = (
            kept
            | PLANTED
            | {name: str(folder / place) for name, place in own.items()}
            | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
            | environment
        )
        self.said = ""

    def tinybert(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command; what it says is kept to be searched."""
        command = [sys.executable, "-m", "flows.cli", *arguments]
        done = subprocess.run(
            command, cwd=self.run.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        self.said += done.stdout + done.stderr
        return done

    def leaks(self, words: Sequence[str], *, beside: Sequence[Path] = ()) -> list[str]:
        """Files with a secret in them; a file ``beside`` is where it belongs."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and path not in beside]
        found = [f"{path}: {word}" for path in files for word in words if word.encode() in path.read_bytes()]
        return found + [f"output: {word}" for word in words if word in self.said]


@pytest.mark.slow
def test_a_run_on_its_own_keeps_no_secret(tmp_path: Path) -> None:
    key, address = "pnu_planted7e2c", "http://someone:plantedaddress5d@127.0.0.1:9/api"
    house = House(tmp_path, {"PREFECT_API_KEY": key, "PREFECT_API_URL": address, "PREFECT_CLIENT_MAX_RETRIES": "0"})
    done = house.tinybert("run", "tiny.yaml")
    assert done.returncode == 0, done.stderr
    assert "cannot be reached" in done.stderr
    assert set(house.run.versions()) == {stage.name for stage in house.run.stages()}
    assert house.leaks([*WORDS, key, "plantedaddress5d"]) == []


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, dict[str, Any]]]:
    """A run that a server open to the network has watched; nobody had set a password."""
    house = House(tmp_path_factory.mktemp("watched"), {})
    ports = ("--port", str(free_port()), "--reports-port", str(free_port()))
    try:
        up = house.tinybert("up", "--host", "0.0.0.0", *ports, "--store", "artifacts")  # noqa: S104 - the point
        assert up.returncode == 0, up.stderr
        done = house.tinybert("run", "tiny.yaml")
        assert done.returncode == 0, done.stderr
        state = json.loads((house.folder / "home" / "tinybert" / "services.json").read_text())
        yield house, state
    finally:
        house.tinybert("down", "--cancel")


def addresses(state: dict[str, Any]) -> tuple[str, str]:
    """Of the API and of the reports."""
    settings = state["settings"]
    return f"http://127.0.0.1:{settings['port']}/api", f"http://127.0.0.1:{settings['reports_port']}/"


@pytest.mark.slow
def test_beyond_this_machine_there_is_a_password_that_its_user_alone_may_read(
    watched: tuple[House, dict[str, Any]],
) -> None:
    house, state = watched
    file = house.folder / "home" / "tinybert" / "auth"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    auth = file.read_text().strip()
    assert len(auth.partition(":")[2]) >= 24
    api, reports = addresses(state)
    for given, status in ((None, 401), ("tinybert:guessed", 401), (auth, 200)):
        assert ask(f"{api}/flow_runs/filter", given, {}).status_code == status
        assert ask(reports, given).status_code == status


@pytest.mark.slow
def test_a_watched_run_keeps_no_secret(watched: tuple[House, dict[str, Any]]) -> None:
    house, state = watched
    file = house.folder / "home" / "tinybert" / "auth"
    auth = file.read_text().strip()
    words = [*WORDS, auth.partition(":")[2]]
    api, _ = addresses(state)
    assert ask(f"{api}/flow_runs/filter", auth, {}).json()[0]["state_type"] == "COMPLETED"
    assert house.leaks(words, beside=[file]) == []
    assert (house.folder / "home" / "prefect" / "prefect.db").is_file()  # was searched as well
    for what in ("flow_runs", "task_runs", "artifacts", "logs", "work_pools"):
        answer = ask(f"{api}/{what}/filter", auth, {}).text
        assert not [word for word in words if word in answer], what
    commands = [Path(f"/proc/{service['pid']}/cmdline").read_text() for service in state["services"]]
    assert len(commands) == 3
    assert not [word for command in commands for word in words if word in command]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://someone:planted1@nowhere:5432/x",
        "postgresql+asyncpg://someone:pl@planted1@nowhere/x",
        "postgresql+asyncpg://nowhere/x?user=someone&password=planted1",
        "postgresql+asyncpg://:planted1@nowhere/x",
    ],
)
def test_a_database_is_shown_without_its_password(url: str) -> None:
    given, shown = database(url)
    assert given == url
    assert "planted1" not in shown
    assert "nowhere" in shown


@pytest.mark.parametrize("place", ["someone:pl@planted1@nowhere/x", "nowhere/x?password=planted1&ssl=off"])
def test_the_last_words_of_a_service_hold_no_password(place: str, tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text(f"cannot connect to 'postgresql+asyncpg://{place}'\n")
    said = last_words(Service(name="server", pid=1, command=("x",), log=str(log)))
    assert "planted1" not in said
    assert "nowhere/x" in said


def test_manifests_have_no_place_for_an_environment() -> None:
    from pipeline.store.artifact import Manifest

    assert not {name for name in Manifest.model_fields if "env" in name}
