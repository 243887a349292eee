"""What the server is told is true: of runs that were killed, of stages that run, of what they made."""

import re
import signal
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from flow_runs import PATIENCE_SECONDS, flow, task_states, tinybert, wait_for_checkpoint
from tiny_run import Tiny

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("server")]
LONG = "general_distillation.training.epochs=300"
NOBODY = "http://127.0.0.1:9/api"  # the discard port: nothing answers


def ask(server: str, path: str, **body: Any) -> Any:
    answer = httpx.post(f"{server}/{path}", json=body, trust_env=False, timeout=30)
    answer.raise_for_status()
    return answer.json()


def states(server: str, kind: str, flow_run: str) -> dict[str, tuple[str, str]]:
    """Flow runs or task runs of a flow run: name -> state and message."""
    found = ask(server, f"{kind}/filter", flow_runs={"id": {"any_": [flow_run]}})
    return {one["name"]: (one["state"]["name"], one["state"]["message"]) for one in found}


def events(server: str, name: str, resource: str, **payload: Any) -> list[dict[str, Any]]:
    """Payloads, with these entries, of the events of one kind about a thing; they arrive a moment later.

    The server has heard of the other tests' runs too.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    wanted = {"event": {"name": [name]}, "any_resource": {"id": [resource]}}
    while True:
        told = [event["payload"] for event in ask(server, "events/filter", filter=wanted)["events"]]
        if found := [one for one in told if payload.items() <= one.items()]:
            return found
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_killed_run_is_marked_by_the_next_one(fresh: Tiny, server: str) -> None:
    command = tinybert(fresh, server, "run", "tiny.yaml", LONG, "--until", "general_distillation", "--quiet")
    wait_for_checkpoint(fresh, command)
    (lock,) = (fresh.folder / "artifacts" / ".runs").glob("*.lock")
    command.send_signal(signal.SIGKILL)
    command.communicate()
    dead = lock.stem
    ((name, (state, _)),) = states(server, "flow_runs", dead).items()
    assert (re.sub(r"\d", "0", name), state) == (f"tiny 0000-00-00 00:00 {LONG.replace('300', '000')}", "Running")
    assert states(server, "task_runs", dead)["general_distillation"][0] == "Running"

    assert flow(fresh, until="corpus").is_completed()

    ((name, message),) = states(server, "flow_runs", dead).values()
    assert (name, message.split("; ")[1]) == ("Crashed", "the next run goes on from its last checkpoint")
    assert f"its process ({command.pid} on " in message
    tasks = states(server, "task_runs", dead)
    assert tasks["corpus"][0] == "Completed"
    assert tasks["general_distillation"][0] == "Crashed"
    (told,) = events(server, "tinybert.stage.failed", "tinybert.stage.general_distillation", flow_run=dead)
    assert told["reason"] == message
    assert not lock.exists()
    assert fresh.plan(LONG)["general_distillation"].action == "resume"


def test_a_command_cancelled_in_the_ui_ends_cancelled(fresh: Tiny, server: str) -> None:
    from prefect.states import Cancelling, to_state_create

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for what runs in the background
    command = tinybert(fresh, server, "run", "tiny.yaml", LONG, "--until", "general_distillation", "--quiet")
    signal.signal(signal.SIGINT, before)
    wait_for_checkpoint(fresh, command)
    (lock,) = (fresh.folder / "artifacts" / ".runs").glob("*.lock")
    cancelling = to_state_create(Cancelling()).model_dump(mode="json", exclude_unset=True)
    ask(server, f"flow_runs/{lock.stem}/set_state", state=cancelling, force=True)
    _, said = command.communicate(timeout=PATIENCE_SECONDS)
    assert command.returncode == 130
    assert said.splitlines()[-1] == "error: cancelled in the UI; run it again to go on from the last checkpoint"
    ((name, message),) = states(server, "flow_runs", lock.stem).values()
    assert (name, message) == ("Cancelled", "cancelled in the UI; run it again to go on from the last checkpoint")
    assert states(server, "task_runs", lock.stem)["general_distillation"][0] == "Crashed"
    assert fresh.plan(LONG)["general_distillation"].action == "resume"


def test_an_earlier_attempt_of_the_same_run_is_marked_too(tmp_path: Path) -> None:
    """As when a run is retried whose first process was killed elsewhere."""
    from prefect import flow as prefect_flow
    from prefect import task as prefect_task
    from prefect.client.orchestration import get_client
    from prefect.context import FlowRunContext
    from prefect.states import Running

    from tasks.crash_accounting import crash_accounting

    @prefect_task
    def teacher() -> None: ...

    @prefect_flow
    def attempt() -> UUID:
        context = FlowRunContext.get()
        assert context is not None
        assert context.flow_run is not None
        with get_client(sync_client=True) as client:
            left = client.create_task_run(teacher, context.flow_run.id, dynamic_key="0", state=Running())
        with crash_accounting(str(tmp_path)):
            return left.id

    with get_client(sync_client=True) as client:
        state = client.read_task_run(attempt()).state
    assert state is not None
    assert state.name == "Crashed"
    assert state.message == "an earlier attempt died here; the next run goes on from its last checkpoint"


def test_what_is_made_is_told_once(fresh: Tiny, server: str) -> None:
    first = flow(fresh, "corpus.min_words=1", until="corpus")
    assert first.message == "corpus and what it needs are there"
    ref = fresh.artifact("corpus").ref
    again = flow(fresh, "corpus.min_words=1", until="corpus")
    assert task_states(again.state_details.flow_run_id, 1) == {"corpus": ("Reused", "COMPLETED")}
    flow(fresh, "corpus.min_words=3", until="corpus")  # whose event comes after the others
    events(server, "tinybert.artifact.created", f"tinybert.artifact.{fresh.artifact('corpus').ref.replace('/', '.')}")
    (told,) = events(server, "tinybert.artifact.created", f"tinybert.artifact.{ref.replace('/', '.')}")
    assert (told["stage"], told["ref"], told["state"]) == ("corpus", ref, "completed")
    assert told["metrics"]["documents"] == fresh.store.open(ref).metrics["documents"]


def in_a_task(work: Any) -> str:
    """Call a function inside a task of a flow; the flow run."""
    from prefect import flow as prefect_flow
    from prefect import task as prefect_task

    @prefect_flow
    def around() -> None:
        prefect_task(work)()

    state = around(return_state=True)
    assert state.is_completed(), state
    return str(state.state_details.flow_run_id)


def progress_of(server: str, flow_run: str) -> list[dict[str, Any]]:
    return ask(
        server, "artifacts/filter", artifacts={"flow_run_id": {"any_": [flow_run]}, "type": {"any_": ["progress"]}}
    )


def test_progress_is_one_artifact_that_is_rewritten_while_the_stage_runs(server: str) -> None:
    from prefect.context import TaskRunContext

    from tasks.live import live

    seen: list[float] = []

    def work() -> None:
        context = TaskRunContext.get()
        assert context is not None
        run = str(context.task_run.flow_run_id)
        with live("teacher", seconds=0.05) as shown:
            for step in (1, 2):
                shown.update(step, 4, loss=0.5)
                deadline = time.monotonic() + PATIENCE_SECONDS
                while not any(one["data"] == 25.0 * step for one in progress_of(server, run)):
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                seen.append(step)
            shown.update(4, 4, loss=0.25)

    (left,) = progress_of(server, in_a_task(work))
    assert seen == [1, 2]
    assert left["data"] == 100.0
    assert left["key"] == "teacher-progress"
    assert left["description"].startswith("**4 of 4**")


def test_a_stage_that_is_over_at_once_is_not_worth_an_artifact(server: str) -> None:
    from tasks.live import live

    def work() -> None:
        with live("teacher", seconds=1e9) as shown:
            for step in range(5000):
                shown.update(step, 5000)

    assert progress_of(server, in_a_task(work)) == []


def test_a_server_that_is_away_fails_no_stage(run: Tiny) -> None:
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    from pipeline.store.materialize import Outcome
    from tasks.live import live
    from tasks.publish import publish

    def work() -> None:
        with temporary_settings({PREFECT_API_URL: NOBODY, PREFECT_CLIENT_MAX_RETRIES: 0}):
            with live("teacher", seconds=0.01) as shown:
                for step in range(100):
                    shown.update(step, 100)
                    time.sleep(0.01)
            publish(Outcome(run.artifact("teacher"), "reused", 0.1))

    in_a_task(work)
