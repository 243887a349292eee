"""The flow against a real Prefect server: what its users see there of each stage."""

import json
import signal
from pathlib import Path

import pytest
from flow_runs import flow, task_states, tinybert, wait_for_checkpoint
from killed_run import killed
from tiny_run import STAGES, Tiny

from pipeline.errors import DataError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("server")]
LARGE_BATCH = ("general_distillation.training.batch_size=512",)  # only the stage knows that the corpus is smaller


def test_each_stage_is_a_task_first_completed_then_reused(fresh: Tiny) -> None:
    first = flow(fresh)
    assert first.is_completed()
    assert first.result() == fresh.artifact("report").ref
    assert first.message == fresh.artifact("report").metrics["summary"]
    states = task_states(first.state_details.flow_run_id, len(STAGES))
    assert states == dict.fromkeys(STAGES, ("Completed", "COMPLETED"))
    second = flow(fresh)
    assert task_states(second.state_details.flow_run_id, len(STAGES)) == dict.fromkeys(STAGES, ("Reused", "COMPLETED"))
    assert fresh.versions() == {stage: [1] for stage in STAGES}


def test_a_run_until_a_stage_has_the_tasks_it_needs(run: Tiny) -> None:
    state = flow(run, until="augmentation")
    assert set(task_states(state.state_details.flow_run_id, 3)) == {"task_data", "candidates", "augmentation"}


def test_an_interrupted_stage_is_resumed_and_says_so(fresh: Tiny) -> None:
    killed(fresh, [("general_distillation", 4)])
    state = flow(fresh, until="general_distillation")
    assert task_states(state.state_details.flow_run_id, 2) == {
        "corpus": ("Reused", "COMPLETED"),
        "general_distillation": ("Resumed", "COMPLETED"),
    }


def test_a_failing_stage_fails_the_flow_with_its_message(fresh: Tiny) -> None:
    from prefect.client.orchestration import get_client

    state = flow(fresh, *LARGE_BATCH)
    assert state.is_failed()
    assert str(state.message).endswith(
        "fewer than one batch of 512: give more text, or lower general_distillation.training.batch_size"
    )
    with pytest.raises(DataError, match="fewer than one batch of 512"):
        state.result()
    assert task_states(state.state_details.flow_run_id, 2) == {
        "corpus": ("Completed", "COMPLETED"),
        "general_distillation": ("Failed", "FAILED"),
    }
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(state.state_details.flow_run_id).state.name == "Failed"
    assert fresh.versions() == {"corpus": [1]}
    mended = flow(fresh, until="general_distillation")
    assert task_states(mended.state_details.flow_run_id, 2) == {
        "corpus": ("Reused", "COMPLETED"),
        "general_distillation": ("Completed", "COMPLETED"),
    }


def test_run_prints_the_table_and_names_the_report(fresh: Tiny, server: str) -> None:
    command = tinybert(fresh, server, "run", "tiny.yaml")
    out, err = command.communicate()
    assert command.returncode == 0, err
    assert all(name in out for name in ("teacher", "label-only", "distilled", "random-start", "TF-IDF", "accuracy"))
    assert f"report: artifacts/{fresh.artifact('report').ref}/report.html\n" in out
    assert "Traceback" not in err
    assert fresh.versions() == {stage: [1] for stage in STAGES}


def test_run_as_json_keeps_standard_output_for_the_result(run: Tiny, server: str) -> None:
    command = tinybert(run, server, "run", "tiny.yaml", "evaluation.bootstrap=30", "--json")
    out, err = command.communicate()
    assert command.returncode == 0, err
    found = json.loads(out)
    assert list(found["artifacts"]) == list(STAGES)
    assert Path(found["report"]).is_file()
    assert [row["name"] for row in found["results"]] == ["teacher", "label-only", "distilled", "random-start", "TF-IDF"]


def test_a_stage_that_fails_is_one_line_and_its_exit_code(fresh: Tiny, server: str) -> None:
    command = tinybert(fresh, server, "run", "tiny.yaml", *LARGE_BATCH, "--quiet")
    out, err = command.communicate()
    assert command.returncode == DataError.exit_code
    assert err.startswith("error: the corpus has ")
    assert "fewer than one batch of 512" in err
    assert err.count("\n") == 1
    assert not out


def test_control_c_leaves_with_130_and_the_same_command_goes_on(fresh: Tiny, server: str) -> None:
    long = "general_distillation.training.epochs=300"
    command = tinybert(fresh, server, "run", "tiny.yaml", long, "--until", "general_distillation")
    wait_for_checkpoint(fresh, command)
    command.send_signal(signal.SIGINT)
    _, err = command.communicate()
    assert command.returncode == 130, err
    assert err.splitlines()[-1] == "interrupted; run the same command again to go on from the last checkpoint"
    assert "Traceback" not in err
    assert fresh.plan(long)["general_distillation"].action == "resume"
