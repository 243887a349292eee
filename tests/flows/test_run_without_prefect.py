import os
import subprocess
import sys

import pytest
from tiny_run import STAGES, Tiny

NOBODY = "http://127.0.0.1:9/api"  # the discard port: nothing answers


def run_without_server(run: Tiny, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", "run", "tiny.yaml", *arguments],
        cwd=run.folder,
        env=os.environ
        | {"PREFECT_API_URL": NOBODY, "PREFECT_CLIENT_MAX_RETRIES": "0", "OMP_NUM_THREADS": "1"}
        | {"PREFECT_HOME": str(run.folder / "prefect"), "PYTHONPATH": os.pathsep.join(sys.path)},
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
def test_a_mistake_is_told_without_a_server_too(fresh: Tiny) -> None:
    done = run_without_server(fresh, "students.0.heads=8", "--quiet")
    assert done.returncode == 4
    *_, error = done.stderr.splitlines()
    assert error.startswith("error: teacher has 4 attention heads, student 'distilled' 8")
    assert "Traceback" not in done.stderr
