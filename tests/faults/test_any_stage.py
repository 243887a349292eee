"""A run is told to end, is cancelled in the UI or loses its server, in the middle of each of its stages."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from own_server import OwnServer, until
from test_kills import MEASURED, check_clean, without
from test_server import newest_run, state
from tiny_run import EVERY_STAGE, Tiny, finished_with

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
HELD = str(Path(__file__).with_name("held.py"))
POOL = "any-stage"


@pytest.fixture(scope="module")
def worker(server: OwnServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One that takes runs from the pool."""
    folder, prefect = tmp_path_factory.mktemp("worker"), [sys.executable, "-m", "prefect"]
    made = server.process([*prefect, "work-pool", "create", POOL, "--type", "process"], folder)
    assert made.wait(timeout=120) == 0
    one = server.process([*prefect, "worker", "start", "--pool", POOL, "--type", "process"], folder, folder / "log")
    yield
    one.send_signal(signal.SIGTERM)
    one.wait(timeout=120)


def held(server: OwnServer, run: Tiny) -> Any:
    """The command line on a run, once it waits in the middle of the only stage that is left."""
    command = server.process([sys.executable, HELD, ".", "flows.cli", "run", "tiny.yaml", "--quiet"], run.folder)
    until(lambda: (run.folder / "here").exists() or command.poll() is not None, "the stage makes a file")
    assert command.poll() is None, command.communicate()[0]
    return command


def check_ended_well(run: Tiny, stage: str, *, elsewhere: bool = False) -> None:
    """Nothing but the stage was built, to the same bytes, and nothing is left over.

    A report shows what is measured anew, and the paths, which are absolute in a deployment (``elsewhere``).
    """
    expected = {name: [1] for name in run.names}
    if stage != "report" and (elsewhere or "report" in MEASURED.get(stage, ())):
        expected["report"] = [1, 2]
    assert run.versions() == expected
    undisturbed = finished_with(run.folder / "undisturbed", stage)
    for name in set(run.names) - set(MEASURED):
        assert run.artifact(name).manifest.digest == undisturbed.artifact(name).manifest.digest
    check_clean(run)


def check_went_on(server: OwnServer, run: Tiny, stage: str, command: Any) -> None:
    """A run whose server was away ends as if it had not been, and the server is told of everything."""
    out, _ = command.communicate(timeout=300)
    assert command.returncode == 0, out
    flow_run = newest_run(server).id
    until(lambda: len(server.stages(flow_run)) == len(run.names), "every stage is told of")
    assert server.stages(flow_run) == dict.fromkeys(run.names, "COMPLETED")
    assert until(lambda: state(server, flow_run).is_final(), "the run is settled")
    assert state(server, flow_run).is_completed()
    check_ended_well(run, stage)


@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_a_run_told_to_end(server: OwnServer, stage: str, tmp_path: Path) -> None:
    run = without(tmp_path, stage)
    command = held(server, run)
    flow_run = newest_run(server).id
    command.send_signal(signal.SIGTERM)
    out, _ = command.communicate(timeout=120)
    assert command.returncode in {-signal.SIGTERM, 128 + signal.SIGTERM}, out
    again = server.tinybert(tmp_path, "run", "tiny.yaml", "--quiet")
    out, _ = again.communicate(timeout=300)
    assert again.returncode == 0, out
    assert server.stages(flow_run)[stage] in {"CRASHED", "FAILED"}
    assert state(server, flow_run).is_crashed()
    assert state(server, newest_run(server).id).is_completed()
    check_ended_well(run, stage)


@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_a_run_whose_server_is_killed_and_comes_back(server: OwnServer, stage: str, tmp_path: Path) -> None:
    run = without(tmp_path, stage)
    command = held(server, run)
    server.kill()
    (tmp_path / "go").touch()
    until(lambda: stage in run.versions() or command.poll() is not None, "the stage ends without a server")
    server.start()
    check_went_on(server, run, stage, command)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_a_run_cancelled_in_the_ui(server: OwnServer, stage: str, tmp_path: Path) -> None:
    from prefect.states import Cancelling

    run = without(tmp_path, stage)
    deploy = server.tinybert(tmp_path, "deploy", "tiny.yaml", "--pool", POOL, "--name", stage)
    out, _ = deploy.communicate(timeout=120)
    assert deploy.returncode == 0, out
    deployment = server.ask(lambda client: client.read_deployment_by_name(f"two-stage-tinybert/{stage}"))

    def begin(**variables: str) -> UUID:
        return server.ask(
            lambda client: client.create_flow_run_from_deployment(deployment.id, job_variables=variables)
        ).id

    flow_run = begin(command=f"{sys.executable} {HELD} {tmp_path} prefect.engine")
    until((tmp_path / "here").exists, "the stage makes a file")
    server.ask(lambda client: client.set_flow_run_state(flow_run, Cancelling(), force=True))
    until(lambda: state(server, flow_run).is_cancelled(), "the run is cancelled")
    assert "RUNNING" not in server.stages(flow_run).values()
    assert not run.versions().get(stage)
    again = begin()
    until(lambda: state(server, again).is_final(), "the next run has ended")
    assert state(server, again).is_completed()
    assert server.stages(again) == dict.fromkeys(run.names, "COMPLETED")
    check_ended_well(run, stage, elsewhere=True)
