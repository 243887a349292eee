"""One training per device: whoever comes second waits, says for whom, and goes on once the first is gone."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny_run import Notes, Tiny, tiny

from pipeline.config.runtime import Runtime
from pipeline.errors import ConfigError
from pipeline.progress import Silent
from pipeline.store.stage import Stage, StageRun
from tasks.build import build_stage
from tasks.device_lock import devices, exclusive_device, holders

# Another run of the same user: it takes the device for a stage and keeps it.
HOLDER = """
import sys, time
from pathlib import Path
from pipeline.config.runtime import Runtime
from pipeline.progress import Silent
from pipeline.store.stage import StageRun
from tasks.device_lock import exclusive_device
from tiny_run import Tiny
runtime = Runtime(device="cpu", store="elsewhere")
folder = Path(sys.argv[1])
with exclusive_device(Tiny(folder).stages().teacher, runtime, Silent(), None) as announce:
    announce(StageRun({}, folder, folder, runtime, Silent()))
    print("holds", flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYBERT_HOME", str(tmp_path / "home"))


@pytest.fixture
def run(tmp_path: Path) -> Tiny:
    return tiny(tmp_path)


@contextmanager
def held(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The device is held by another process meanwhile."""
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{HOLDER}", str(folder)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holds\n"
        yield holder
    finally:
        holder.kill()
        holder.communicate()


def ready(stage: Stage[object], runtime: Runtime, progress: Notes) -> None:
    """Come to the point where a stage begins to run."""
    here = Path()
    with exclusive_device(stage, runtime, progress, None) as announce:
        if announce is not None:
            announce(StageRun({}, here, here, runtime, Silent()))


def test_the_second_waits_says_for_whom_and_goes_on_when_the_first_is_killed(run: Tiny) -> None:
    runtime, notes = Runtime(device="cpu"), Notes()
    stage = run.stages().general_distillation
    assert stage is not None
    with held(run.folder) as holder:
        assert [(one.device, one.pid, one.stage) for one in holders()] == [("cpu", holder.pid, "teacher")]
        second = threading.Thread(target=ready, args=(stage, runtime, notes))
        second.start()
        deadline = time.monotonic() + 60
        while not notes.lines:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert len(notes.lines) == 1
        assert notes.lines[0].startswith(f"waiting for the device cpu: held by process {holder.pid} (teacher, store /")
        assert second.is_alive()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        second.join(60)
        assert not second.is_alive()
    assert holders() == []


@pytest.mark.parametrize("name", ["corpus", "task_data", "augmentation", "teacher_logits", "evaluation", "report"])
def test_what_neither_trains_nor_measures_needs_no_device(run: Tiny, name: str) -> None:
    stage = getattr(run.stages(), name)
    with exclusive_device(stage, Runtime(device="cpu"), Notes(), None) as announce:
        assert announce is None


def test_times_are_not_measured_while_another_run_trains(run: Tiny) -> None:
    stage = run.stages().latency
    assert stage is not None
    with exclusive_device(stage, Runtime(device="cpu"), Notes(), None) as announce:
        assert announce is not None
        announce(StageRun({}, run.folder, run.folder, Runtime(device="cpu"), Silent()))
        assert [one.stage for one in holders()] == ["latency"]


def test_a_run_that_shares_the_device_does_not_wait(run: Tiny) -> None:
    notes = Notes()
    stage = run.stages().general_distillation
    assert stage is not None
    with held(run.folder):
        ready(stage, Runtime(device="cpu", exclusive_device=False), notes)
    assert notes.lines == []


def test_a_real_stage_holds_the_device_while_it_runs_and_no_longer(run: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace
    from logging import getLogger

    monkeypatch.chdir(run.folder)
    seen: list[str] = []

    def look(_config: object, given: StageRun) -> None:
        seen.extend(holder.stage for holder in holders())
        (given.output / "done").touch()

    build_stage(replace(run.stages().corpus, parallel=True, run=look), Runtime(device="cpu"), getLogger("test"))
    assert seen == ["corpus"]
    assert holders() == []


def test_what_is_finished_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from logging import getLogger

    run = tiny(tmp_path / "finished", finished=True)
    monkeypatch.chdir(run.folder)
    with held(run.folder):
        outcome, _ = build_stage(run.stages().teacher, run.config().runtime, getLogger("test"))
    assert outcome.state == "reused"


def test_a_folder_that_cannot_be_made_is_one_line(run: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TINYBERT_HOME", str(tmp_path / "file"))
    stage = run.stages().teacher
    assert stage is not None
    with pytest.raises(ConfigError, match="set TINYBERT_HOME to a folder that can be written"):
        ready(stage, Runtime(device="cpu"), Notes())


def test_the_cpu_is_one_device() -> None:
    assert devices(Runtime(device="cpu")) == ("cpu",)
