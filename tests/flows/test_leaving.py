"""A run without a server, left by Ctrl-C in a real terminal, by signals and by kill -9: nothing it started is left."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from terminal_run import CTRL_C, LONG, TerminalRun, gone, until
from tiny_run import Tiny

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
AGAIN = "run the same command again to go on from the last checkpoint"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prefect's database is made once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def training(fresh: Tiny, home: Path) -> Iterator[tuple[TerminalRun, list[psutil.Process]]]:
    """A run in the middle of its first training, and what it has started."""
    run = TerminalRun(fresh, home, "run", "tiny.yaml", *LONG)
    try:
        started = run.in_training()
        assert started, "a temporary server"
        yield run, started
    finally:
        run.close()


Training = tuple[TerminalRun, list[psutil.Process]]


def test_ctrl_c_ends_a_run_and_its_server_in_one_line(training: Training) -> None:
    run, started = training
    run.type(CTRL_C)
    assert run.leave() == 130, run.said
    assert run.last_lines() == ["starting Prefect ...", f"interrupted; {AGAIN}"]
    assert gone(started)
    assert run.flow_run()[1] == "CRASHED"
    assert run.checkpoints()
    assert run.run.plan(LONG[0])["general_distillation"].action == "resume"


@pytest.mark.faults
def test_sigterm_to_the_group_as_timeout_sends_it(training: Training) -> None:
    run, started = training
    # timeout(1): to the command, and then to its group.
    run.process.terminate()
    os.killpg(run.process.pid, signal.SIGTERM)
    assert run.leave() == 143, run.said
    assert run.last_lines() == ["starting Prefect ...", f"ended by SIGTERM; {AGAIN}"]
    assert gone(started)
    assert run.flow_run()[1] == "CRASHED"
    assert run.run.plan(LONG[0])["general_distillation"].action == "resume"


def test_a_killed_run_leaves_no_server(training: Training) -> None:
    run, started = training
    run.process.kill()
    assert run.leave() == -signal.SIGKILL
    assert gone(started)


@pytest.mark.faults
def test_a_server_that_died_is_not_waited_for_when_the_run_is_left(training: Training) -> None:
    run, started = training
    for server in started:
        server.kill()
    assert gone(started)
    run.type(CTRL_C)
    assert run.leave() == 130, run.said
    assert run.last_lines()[-1] == f"interrupted; {AGAIN}"
    assert "Traceback" not in run.said
    assert len(run.last_lines()) <= 3, run.said  # what is starting, that the server is gone, that the run is left
    assert run.run.plan(LONG[0])["general_distillation"].action == "resume"


@pytest.mark.faults
def test_a_server_that_hangs_does_not_hold_a_run_that_is_left(training: Training) -> None:
    run, started = training
    for server in started:
        server.suspend()
    run.type(CTRL_C)
    assert run.leave() == 130, run.said
    assert run.last_lines() == ["starting Prefect ...", f"interrupted; {AGAIN}"]
    for server in started:
        server.resume()
    assert gone(started)


@pytest.mark.faults
def test_a_second_ctrl_c_leaves_at_once(training: Training) -> None:
    """A run whose last words would take long, for its server hangs."""
    run, started = training
    for server in started:
        server.suspend()
    run.type(CTRL_C)
    time.sleep(0.5)  # more than a launcher needs to hand the same signal on
    run.type(CTRL_C)
    assert run.leave() == 130, run.said
    assert run.last_lines() == ["starting Prefect ...", f"interrupted; {AGAIN}"]
    for server in started:
        server.resume()
    assert gone(started)
    assert run.checkpoints()


def test_a_run_whose_server_died_goes_on_without_it_and_ends(fresh: Tiny, home: Path) -> None:
    run = TerminalRun(fresh, home, "run", "tiny.yaml", "--until", "teacher")
    try:
        until(lambda: fresh.versions().get("task_data") or run.process.poll() is not None, "a first artifact")
        assert run.process.poll() is None, run.said
        started = psutil.Process(run.process.pid).children(recursive=True)
        for server in started:
            server.kill()
        assert run.leave() == 0, run.said
        assert fresh.versions()["teacher"] == [1]
        told = [line for line in run.last_lines() if "gone" in line]
        assert len(told) == 1, run.said
        assert "the run goes on without it" in told[0]
        assert all(words not in run.said for words in ("Traceback", "ERROR", "Error logging"))
        assert run.last_lines()[-1].startswith("output: ")
    finally:
        run.close()
