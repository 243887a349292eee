"""What only real processes show: a kill -9 in the middle of a stage, and two runs at once."""

import os
import signal
import subprocess
import sys
import time

import pytest

SCRIPT = """
import sys, time
from pathlib import Path
from pipeline.config.base import Config
from pipeline.config.runtime import Runtime
from pipeline.store.materialize import materialize
from pipeline.store.stage import Stage
from pipeline.store.store import Store

class Settings(Config):
    seed: int = 1

class Loud:
    def update(self, done, total, **fields): pass
    def note(self, message): print(message, flush=True)

folder = Path(sys.argv[1])

def work(config, run):
    with (folder / "ran").open("a") as file:
        file.write("ran\\n")
    (run.output / f"part{len(list(run.scratch.iterdir()))}").write_text("x")
    (run.scratch / "step1").write_text("done")
    while (folder / "wait").exists():
        time.sleep(0.01)

stage = Stage("teacher", 1, Settings(), {}, work)
outcome = materialize(stage, Store(folder / "artifacts"), Runtime(), Loud())
print(outcome.state, *outcome.artifact.manifest.files, flush=True)
"""


@pytest.fixture
def start(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    started = []

    def begin():
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "script.py"), str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def test_a_killed_stage_is_resumed_at_once(start, tmp_path):
    (tmp_path / "wait").touch()
    victim = start()
    until(lambda: list(tmp_path.glob("artifacts/.work/*/scratch/step1")))
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert not (tmp_path / "artifacts" / "teacher").exists()
    (tmp_path / "wait").unlink()
    assert start().communicate(timeout=60)[0] == "resumed part1\n"
    assert start().communicate(timeout=60)[0] == "reused part1\n"
    assert (tmp_path / "ran").read_text() == "ran\nran\n"


def test_two_processes_run_a_stage_once(start, tmp_path):
    (tmp_path / "wait").touch()
    first = start()
    until(lambda: list(tmp_path.glob("artifacts/.work/*/scratch/step1")))
    second = start()
    assert second.stdout.readline() == "teacher is being built by another process: waiting for it\n"
    (tmp_path / "wait").unlink()
    assert first.communicate(timeout=60)[0] == "completed part0\n"
    assert second.communicate(timeout=60)[0] == "reused part0\n"
    assert (tmp_path / "ran").read_text() == "ran\n"


def test_a_waiting_process_takes_over_from_a_killed_one(start, tmp_path):
    (tmp_path / "wait").touch()
    first = start()
    until(lambda: list(tmp_path.glob("artifacts/.work/*/scratch/step1")))
    second = start()
    second.stdout.readline()
    first.send_signal(signal.SIGKILL)
    first.wait()
    (tmp_path / "wait").unlink()
    assert second.communicate(timeout=60)[0] == "resumed part1\n"


def test_importing_the_store_brings_nothing_heavy():
    code = (
        "import sys, pipeline.store.materialize; "
        "print([m for m in ('torch', 'numpy', 'pyarrow', 'prefect', 'transformers') if m in sys.modules])"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout == "[]\n"
