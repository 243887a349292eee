"""The server is killed, the run is ended or cancelled: the same bytes in the end, and a UI that tells the truth."""

import signal
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from own_server import OwnServer, until
from tiny_run import STAGES, Tiny, tiny

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
DIGESTED = tuple(stage for stage in STAGES if stage not in {"latency", "report"})
# Long enough to be met in the middle, and without a checkpoint until it is told to end.
LONG = ("general_distillation.training.epochs=400", "runtime.checkpoint_seconds=1e6")
PART = "general_distillation"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Digest of the long training when nothing happens to it."""
    run = tiny(tmp_path_factory.mktemp("undisturbed"))
    run.run(*LONG, until=PART)
    return run.artifact(PART).manifest.digest


def checkpoints(run: Tiny) -> list[Path]:
    return sorted((run.folder / "artifacts").glob(".work/*/scratch/training/step-*"))


def newest_runs(server: OwnServer, count: int) -> Any:
    """The flow runs that were made last."""
    from prefect.client.schemas.sorting import FlowRunSort

    return server.ask(lambda client: client.read_flow_runs(sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=count))


def newest_run(server: OwnServer) -> Any:
    """The flow run that was made last."""
    return newest_runs(server, 1)[0]


def state(server: OwnServer, flow_run: UUID) -> Any:
    return server.ask(lambda client: client.read_flow_run(flow_run)).state


def check_same(run: Tiny, *stages: str) -> None:
    undisturbed = tiny(run.folder / "undisturbed", finished=True)
    for stage in stages:
        assert run.artifact(stage).manifest.digest == undisturbed.artifact(stage).manifest.digest
        assert run.versions()[stage] == [1]


def test_a_server_killed_and_restarted_in_mid_run_is_told_everything(server: OwnServer, tmp_path: Path) -> None:
    run = tiny(tmp_path)
    command = server.tinybert(tmp_path, "run", "tiny.yaml", "--quiet")
    until(lambda: checkpoints(run), "the first training has begun")
    server.kill()
    until(lambda: PART in run.versions() or command.poll() is not None, "a stage ends without a server")
    server.start()
    out, _ = command.communicate(timeout=600)
    assert command.returncode == 0, out
    check_same(run, *DIGESTED)
    flow_run = newest_run(server)
    assert server.stages(flow_run.id) == dict.fromkeys(STAGES, "COMPLETED")
    assert until(lambda: state(server, flow_run.id).is_final(), "the run is settled")
    assert state(server, flow_run.id).is_completed()
    changed = ("evaluation.bootstrap=30", "runtime.retention={keep: 1}")
    again = server.tinybert(tmp_path, "run", "tiny.yaml", *changed, "--quiet")
    out, _ = again.communicate(timeout=600)
    assert again.returncode == 0, out
    assert run.versions() == {stage: [1] for stage in STAGES} | {"evaluation": [2], "report": [2]}


def test_two_runs_of_one_configuration_at_once(server: OwnServer, tmp_path: Path) -> None:
    run = tiny(tmp_path)
    both = [server.tinybert(tmp_path, "run", "tiny.yaml", "--quiet") for _ in range(2)]
    for command in both:
        out, _ = command.communicate(timeout=600)
        assert command.returncode == 0, out
    check_same(run, *DIGESTED)
    assert run.versions() == {stage: [1] for stage in STAGES}
    assert not list(run.store.layout.works.iterdir())
    for flow_run in newest_runs(server, 2):
        assert flow_run.state.is_completed()
        assert server.stages(flow_run.id) == dict.fromkeys(STAGES, "COMPLETED")


def test_a_run_told_to_end_leaves_a_checkpoint_and_no_stage_running(
    server: OwnServer, undisturbed: str, tmp_path: Path
) -> None:
    run = tiny(tmp_path)
    command = server.tinybert(tmp_path, "run", "tiny.yaml", *LONG, "--until", PART, "--quiet")
    until(lambda: run.versions().get("corpus"), "the corpus is there")
    flow_run = newest_run(server).id
    until(lambda: told(server, flow_run), "the training has taken steps")
    command.send_signal(signal.SIGTERM)
    out, _ = command.communicate(timeout=300)
    assert command.returncode in {-signal.SIGTERM, 128 + signal.SIGTERM}, out
    assert len(checkpoints(run)) == 1  # written because it was told to end
    again = server.tinybert(tmp_path, "run", "tiny.yaml", *LONG, "--until", PART, "--quiet")
    out, _ = again.communicate(timeout=600)
    assert again.returncode == 0, out
    assert run.artifact(PART).manifest.timings.resumed
    assert server.stages(flow_run)[PART] in {"CRASHED", "FAILED"}
    assert state(server, flow_run).is_crashed()
    assert run.artifact(PART).manifest.digest == undisturbed


def told(server: OwnServer, flow_run: UUID) -> bool:
    """Whether the training's progress is in the UI, if it takes seconds."""
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    asked = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run]))
    found = server.ask(lambda client: client.read_artifacts(artifact_filter=asked))
    return any(one.type == "progress" and one.data and PART.replace("_", "-") in one.key for one in found)


def test_a_run_cancelled_in_the_ui_ends_cancelled_and_goes_on(
    server: OwnServer, undisturbed: str, tmp_path: Path
) -> None:
    from prefect.states import Cancelling

    run, prefect = tiny(tmp_path), [sys.executable, "-m", "prefect"]
    made = server.process([*prefect, "work-pool", "create", "faults", "--type", "process"], tmp_path)
    assert made.wait(timeout=120) == 0
    worker = server.process([*prefect, "worker", "start", "--pool", "faults", "--type", "process"], tmp_path)
    named = server.tinybert(
        tmp_path, "deploy", "tiny.yaml", *LONG, "--until", PART, "--pool", "faults", "--name", "tiny"
    )
    out, _ = named.communicate(timeout=120)
    assert named.returncode == 0, out
    deployment = server.ask(lambda client: client.read_deployment_by_name("two-stage-tinybert/tiny"))

    def begin() -> UUID:
        return server.ask(lambda client: client.create_flow_run_from_deployment(deployment.id)).id

    flow_run = begin()
    until(lambda: told(server, flow_run), "the training has taken steps")
    server.ask(lambda client: client.set_flow_run_state(flow_run, Cancelling(), force=True))
    until(lambda: state(server, flow_run).is_cancelled(), "the run is cancelled")
    assert "RUNNING" not in server.stages(flow_run).values()
    assert not run.versions().get(PART)
    assert len(checkpoints(run)) == 1  # written because it was cancelled
    again = begin()
    until(lambda: state(server, again).is_final(), "the next run has ended")
    assert state(server, again).is_completed()
    assert run.artifact(PART).manifest.timings.resumed
    assert server.stages(again) == {"corpus": "COMPLETED", PART: "COMPLETED"}
    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=120)
    assert run.artifact(PART).manifest.digest == undisturbed
