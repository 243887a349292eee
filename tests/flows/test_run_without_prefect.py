import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_run import STAGES, Tiny

NOBODY = "http://127.0.0.1:9/api"  # the discard port: nothing answers


def environment(run: Tiny) -> dict[str, str]:
    return (
        os.environ
        | {"PREFECT_API_URL": NOBODY, "OMP_NUM_THREADS": "1", "PREFECT_HOME": str(run.folder / "prefect")}
        | {"PYTHONPATH": os.pathsep.join(sys.path)}
    )


def run_without_server(run: Tiny, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", "run", "tiny.yaml", *arguments],
        cwd=run.folder,
        env=environment(run),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_run_goes_on_when_no_server_answers(fresh: Tiny) -> None:
    done = run_without_server(fresh)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("Prefect cannot be reached (")
    assert "Traceback" not in done.stderr
    assert f"report: artifacts/{fresh.artifact('report').ref}/report.html\n" in done.stdout
    assert fresh.versions() == {stage: [1] for stage in STAGES}


@pytest.mark.slow
def test_a_run_told_to_end_goes_on_from_its_checkpoint(fresh: Tiny) -> None:
    """It is told once a checkpoint is there: in the middle of an update there would be no other to save."""
    long = ("general_distillation.training.epochs=100000", "runtime.checkpoint_seconds=0.01")

    def checkpoints() -> list[Path]:
        return list((fresh.folder / "artifacts" / ".work").glob("*/scratch/training/step-*"))

    command = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "run", "tiny.yaml", *long, "--until", "general_distillation"],
        cwd=fresh.folder,
        env=environment(fresh),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    deadline = time.monotonic() + 240
    while not checkpoints():
        assert command.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    command.send_signal(signal.SIGTERM)
    _, said = command.communicate(timeout=60)
    assert command.returncode == 143, said
    assert "Traceback" not in said
    assert checkpoints()
    assert fresh.plan(*long)["general_distillation"].action == "resume"
    assert not list((fresh.folder / "artifacts" / ".leases").glob("*.json"))


@pytest.mark.slow
def test_a_mistake_is_told_without_a_server_too(fresh: Tiny) -> None:
    done = run_without_server(fresh, "students.0.heads=8", "--quiet")
    assert done.returncode == 4
    *_, error = done.stderr.splitlines()
    assert error.startswith("error: teacher has 4 attention heads, student 'distilled' 8")
    assert "Traceback" not in done.stderr
