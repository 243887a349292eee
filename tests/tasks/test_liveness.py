"""A run is told to be dead by its lock alone: a real child process holds one and is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tasks import liveness as module
from tasks.liveness import dead_runs, has_lock_files, hold_liveness, remove_lock_file, this_process

SERVER = "http://127.0.0.1:1/api"
HOLD = """
import sys, time
from pathlib import Path
from uuid import UUID
from tasks.liveness import hold_liveness, this_process
with hold_liveness(Path(sys.argv[1]), UUID(sys.argv[2]), this_process(sys.argv[3])):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def elsewhere(store: Path, run: UUID) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs a flow run."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HOLD, str(store), str(run), SERVER]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def found(store: Path) -> list[UUID]:
    with dead_runs(store) as gone:
        return [run for run, _ in gone]


def test_a_run_is_dead_once_its_process_was_killed_until_it_is_forgotten(tmp_path: Path) -> None:
    run = uuid4()
    with elsewhere(tmp_path, run) as process:
        assert found(tmp_path) == []
        assert found(tmp_path) == []  # having been looked at does not kill it
        process.send_signal(signal.SIGKILL)
        process.wait()
        with dead_runs(tmp_path) as gone:
            assert [(one, who.pid, who.server) for one, who in gone] == [(run, process.pid, SERVER)]
    assert found(tmp_path) == [run]
    remove_lock_file(tmp_path, run)
    assert found(tmp_path) == []
    assert not has_lock_files(tmp_path)


def test_a_run_that_ends_leaves_no_trace_however_it_ends(tmp_path: Path) -> None:
    def interrupted() -> None:
        with hold_liveness(tmp_path, uuid4(), this_process(SERVER)):
            assert has_lock_files(tmp_path)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not has_lock_files(tmp_path)


@pytest.fixture
def killed(tmp_path: Path) -> UUID:
    """A run whose process was killed."""
    run = uuid4()
    with elsewhere(tmp_path, run) as process:
        process.kill()
        process.wait()
    return run


def test_a_run_of_another_machine_is_not_judged_from_here(
    tmp_path: Path, killed: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as there:
        there.setattr(module.platform, "node", lambda: "another-machine")
        there.setattr(module, "_boot", lambda: "another start")
        assert found(tmp_path) == []
    assert found(tmp_path) == [killed]


def test_a_machine_that_was_started_anew_is_the_same_machine() -> None:
    assert replace(this_process(SERVER), boot="before").here
    assert not replace(this_process(SERVER), boot="before", machine="another-machine").here


def test_a_run_that_is_taken_up_again_is_not_buried_meanwhile(tmp_path: Path, killed: UUID) -> None:
    with hold_liveness(tmp_path, killed, this_process(SERVER)):
        assert found(tmp_path) == []


def test_a_trace_that_cannot_be_read_stops_nobody(tmp_path: Path) -> None:
    folder = tmp_path / module.RUNS
    folder.mkdir()
    (folder / f"{uuid4()}.lock").write_text("{")
    (folder / "not-a-run.lock").write_text("[]")
    assert found(tmp_path) == []


def test_a_run_on_a_store_that_cannot_be_written_goes_on(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where the folder should be")
    with hold_liveness(tmp_path / "store", uuid4(), this_process(SERVER)):
        pass
