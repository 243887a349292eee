"""``tinybert up`` for real, with a home and ports of its own, and the server's API as a few functions."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

Found = TypeVar("Found")
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
PATIENCE_SECONDS = 240.0


def until(look: Callable[[], Found | None], what: str) -> Found:
    """The first thing that is found."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class Up:
    """A server, a worker and the reports; the folder is the home of all three."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder = folder
        self.prefect_home = folder / "prefect"
        self.port, self.reports_port = free_ports(2)
        self.store = store
        self.pool = "tinybert"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        self.environment = kept | {
            "TINYBERT_HOME": str(folder / "home"),
            "PREFECT_HOME": str(self.prefect_home),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "OMP_NUM_THREADS": "1",
        }
        self.ui = f"http://127.0.0.1:{self.port}"
        self._client = httpx.Client(base_url=f"{self.ui}/api", trust_env=False, timeout=60)

    def tinybert(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return self.command("flows.cli", *arguments, cwd=cwd)

    def command(self, module: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """A command of the same user, to its end."""
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=cwd or self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def up(self) -> subprocess.CompletedProcess[str]:
        ports = ("--port", str(self.port), "--reports-port", str(self.reports_port))
        return self.tinybert("up", "--store", str(self.store), *ports)

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.tinybert("status", "--json").stdout))

    def processes(self) -> dict[str, tuple[int, str]]:
        """Service -> its process and its health."""
        return {one["name"]: (one["pid"], one["health"]) for one in self.status()["services"]}

    def ask(self, path: str, **body: Any) -> Any:
        """What the server answers; it may be on its way up."""
        while True:
            try:
                answer = self._client.request("POST" if body else "GET", path, json=body or None)
            except httpx.TransportError:
                time.sleep(0.5)
                continue
            if answer.status_code < 500:
                answer.raise_for_status()
                return answer.json() if answer.content else None
            time.sleep(0.5)

    def deployment(self, name: str) -> dict[str, Any]:
        return dict(self.ask(f"/deployments/name/{name}"))

    def start(self, deployment: dict[str, Any], **parameters: Any) -> str:
        """A run of a deployment as the UI asks for it; its id."""
        asked = {**deployment["parameters"], **parameters}
        return str(self.ask(f"/deployments/{deployment['id']}/create_flow_run", parameters=asked)["id"])

    def ended(self, run: str) -> dict[str, Any]:
        """A flow run once it is over."""
        return until(lambda: self._if_over(run), f"run {run} never ended: {self.ask(f'/flow_runs/{run}')['state']}")

    def _if_over(self, run: str) -> dict[str, Any] | None:
        found = self.ask(f"/flow_runs/{run}")
        return found if found["state"]["type"] in FINAL else None

    def stages(self, run: str, count: int) -> dict[str, str]:
        """Stage -> name of its final state; the server learns of the last ones a moment later."""

        def settled() -> dict[str, str] | None:
            tasks = self.ask("/task_runs/filter", flow_runs={"id": {"any_": [run]}})
            states = {one["name"]: one["state"]["name"] for one in tasks if one["state"]["type"] in FINAL}
            return states if len(states) == count else None

        return until(settled, f"run {run} has no {count} finished stages")

    def logged(self, run: str, words: str) -> str:
        """The line of a run's log with these words, once it is there."""

        def look() -> str | None:
            lines = self.ask("/logs/filter", logs={"flow_run_id": {"any_": [run]}}, limit=200)
            return next((line["message"] for line in lines if words in line["message"]), None)

        return until(look, f"run {run} never said {words!r}")

    def close(self) -> None:
        self.tinybert("down", "--cancel")
        self._client.close()
