"""A Prefect server as a process of our own, to be killed and started again; SQLite, or a PostgreSQL that can be too."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from flows.prefect_settings import SERVER_SETTINGS, SETTINGS

ROOT = Path(__file__).parents[2]
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
PATIENCE_SECONDS = 180.0


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for something to become true, and return it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"it never happened: {what}"
        time.sleep(0.1)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class OwnServer:
    """A server with a home of its own.

    Args:
        folder: its home and its log.
        database: address of a PostgreSQL database; SQLite in its home when None.
        settings: more of its own, which clients do not share.
    """

    def __init__(self, folder: Path, database: str | None = None, settings: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.environment = (
            {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
            | SETTINGS
            | SERVER_SETTINGS
            | {
                "PREFECT_HOME": str(folder),
                "PREFECT_API_URL": self.url,
                "TINYBERT_HOME": str(folder / "tinybert"),
                "OMP_NUM_THREADS": "1",
                "TOKENIZERS_PARALLELISM": "false",
                "PYTHONPATH": str(ROOT),
            }
        )
        self._own = dict(settings or {})
        if database:
            self._own["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database
        self._log = (folder / "server.log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None
        self.started: list[subprocess.Popen[str]] = []

    def start(self) -> None:
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        self._process = subprocess.Popen(
            command,
            env=self.environment | self._own,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        until(self._answers, "the server answers")

    def kill(self) -> None:
        """kill -9, with all that it has started."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
        self.kill()
        self._log.close()

    def tinybert(self, folder: Path, *arguments: str) -> subprocess.Popen[str]:
        """Our command line, in a folder, with this server."""
        return self.process([sys.executable, "-m", "flows.cli", *arguments], folder)

    def process(self, command: list[str], folder: Path, log: Path | None = None) -> "subprocess.Popen[str]":
        """A process with this server; what it says goes to ``log`` where nobody reads it, for a full pipe stops it."""
        out = log.open("ab") if log else subprocess.PIPE
        made = subprocess.Popen(
            command, cwd=folder, env=self.environment, stdout=out, stderr=subprocess.STDOUT, text=True
        )
        self.started.append(made)
        return made

    def ask(self, question: Callable[[Any], Any]) -> Any:
        """What a client of this server says."""
        from prefect.client.orchestration import SyncPrefectClient

        with SyncPrefectClient(api=self.url) as client:
            return question(client)

    def stages(self, flow_run: UUID) -> Mapping[str, str]:
        """Stage -> type of its state, once all are settled."""
        from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

        asked = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run]))

        def settled() -> Any:
            runs = self.ask(lambda client: client.read_task_runs(flow_run_filter=asked))
            return runs if runs and all(run.state and run.state.is_final() for run in runs) else None

        return {run.name: run.state.type.value for run in until(settled, "every task run is settled")}

    def _answers(self) -> bool:
        import httpx

        assert self._process is not None
        assert self._process.poll() is None, "the server has ended; see its log"
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200
        except httpx.TransportError:
            return False


class OwnPostgres:
    """A PostgreSQL in a folder, by Debian's binaries; root starts it as the user ``postgres``, who is no root."""

    def __init__(self, folder: Path) -> None:
        self._data, self.port = folder / "data", free_port()
        self._as = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if self._as:
            shutil.chown(folder, "postgres")
        self._run("initdb", "--pgdata", str(self._data), "--auth", "trust", "--username", "tinybert", "--no-sync")
        self._options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
        self._log = folder / "log"
        self.url = f"postgresql+asyncpg://tinybert@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-o", self._options, "-l", str(self._log), "-w", "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop at once, as a crash does, or in good order (``fast``)."""
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "stop")

    def _run(self, name: str, *arguments: str) -> None:
        command = [*self._as, str(BINARIES[-1] / name), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")
