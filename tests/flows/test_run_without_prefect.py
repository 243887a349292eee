import os
import re
import signal
import subprocess
import sys

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
def test_a_run_told_to_end_leaves_its_last_step(fresh: Tiny) -> None:
    """It is told once it has logged that steps are done, so there is something to save."""
    long = ("general_distillation.training.epochs=100000", "runtime.checkpoint_seconds=1e6")
    with subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "run", "tiny.yaml", *long, "--until", "general_distillation"],
        cwd=fresh.folder,
        env=environment(fresh),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as command:
        assert command.stderr is not None
        lines = []
        for line in command.stderr:
            lines.append(line)
            if re.match(r"general_distillation: [1-9]\S* of ", line):
                command.send_signal(signal.SIGTERM)
    said = "".join(lines)
    assert command.returncode == 143, said
    assert "Traceback" not in said
    assert len(list((fresh.folder / "artifacts" / ".work").glob("*/scratch/training/step-*"))) == 1
    assert not list((fresh.folder / "artifacts" / ".leases").glob("*.json"))


@pytest.mark.slow
def test_a_mistake_is_told_without_a_server_too(fresh: Tiny) -> None:
    done = run_without_server(fresh, "students.0.heads=8", "--quiet")
    assert done.returncode == 4
    *_, error = done.stderr.splitlines()
    assert error.startswith("error: teacher has 4 attention heads, student 'distilled' 8")
    assert "Traceback" not in done.stderr
