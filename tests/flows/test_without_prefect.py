"""A run must not depend on a Prefect server: without one it goes on and says so."""

import os
import socket
import subprocess
import sys

import pytest


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_a_run_goes_on_when_the_server_cannot_be_reached(fresh):
    environment = os.environ | {
        "PREFECT_API_URL": f"http://127.0.0.1:{closed_port()}/api",
        "PREFECT_CLIENT_MAX_RETRIES": "0",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "run", "tiny.yaml", "--until", "corpus"],
        cwd=fresh.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Prefect cannot be reached" in done.stderr
    assert "the run goes on without its UI" in done.stderr
    assert list((fresh.folder / "artifacts" / "corpus").glob("v0001-*"))
