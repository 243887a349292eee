"""What goes wrong inside a training: no memory, a loss that is no number, a word to stop, a clock that jumps."""

import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_run import STAGES, TRAINING, Tiny, finished_with, tiny

import pipeline.training.loop
from pipeline.errors import PipelineError, TrainingError
from tasks.retries import transient

TRAINED = ("general_distillation", "teacher", "intermediate", "prediction", "label_only", "pretrain")
SETTINGS = {
    "general_distillation": "general_distillation.training",
    "teacher": "teacher.finetune",
    "intermediate": "phases.intermediate.training",
    "prediction": "phases.prediction.training",
    "label_only": "evaluation.label_only",
    "pretrain": "pretrain.training",
}
STEP = 4
DIGESTED = tuple(stage for stage in STAGES if stage not in {"latency", "report"})


def cpu_allocator() -> RuntimeError:
    return RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 4096000000000 bytes. Error code 12 (Cannot allocate memory)\nand a second line"
    )


FAILURES: dict[str, Callable[[], BaseException]] = {
    "python": MemoryError,
    "gpu": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "cpu": cpu_allocator,
    "numpy": lambda: np._core._exceptions._ArrayMemoryError((1 << 40,), np.dtype("f8")),
}


def fail_at(step: int, error: Callable[[], BaseException], monkeypatch: pytest.MonkeyPatch, *, after: int = 0) -> None:
    """Have a training break in the backward pass of a step, once: the next one, or one ``after`` so many others."""
    backward, trainings, calls = pipeline.training.loop._backward, list[Any](), iter(range(step + 1))

    def breaks(training: Any, *given: Any, **named: Any) -> Any:
        if not trainings or trainings[-1] is not training:
            trainings.append(training)
        found = backward(training, *given, **named)
        if len(trainings) == after + 1 and next(calls, None) == step:
            raise error()
        return found

    monkeypatch.setattr(pipeline.training.loop, "_backward", breaks)


def only(run: Tiny, stage: str) -> Tiny:
    """The finished run, without the artifact of one stage."""
    shutil.rmtree(run.path(stage).parent)
    return run


def check_goes_on(run: Tiny, stage: str, step: int) -> None:
    """The next run resumes at the step, builds this stage alone, and to the same bytes."""
    run.notes.lines.clear()
    outcomes = run.run()
    states = {name: outcome.state for name, outcome in outcomes.items() if outcome.state != "reused"}
    assert states == {stage: "resumed"}
    assert any(line.startswith(f"resumed at step {step} of ") for line in run.notes.lines), run.notes.lines
    undisturbed = finished_with(run.folder / "undisturbed", stage)
    assert run.artifact(stage).manifest.digest == undisturbed.artifact(stage).manifest.digest


@pytest.mark.parametrize("failure", FAILURES)
def test_memory_that_runs_out_is_one_line_and_the_step_is_taken_again(
    failure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = only(tiny(tmp_path, finished=True), "general_distillation")
    fail_at(STEP, FAILURES[failure], monkeypatch)
    with pytest.raises(TrainingError) as caught:
        run.run()
    monkeypatch.undo()
    message = str(caught.value)
    assert message.startswith(f"out of memory at step {STEP} (")
    assert f"the last good checkpoint is step-{STEP:08d}" in message
    assert "max_tokens or batch_size" in message
    assert "\n" not in message
    assert not transient(caught.value)
    check_goes_on(run, "general_distillation", STEP)


@pytest.mark.faults
@pytest.mark.parametrize("stage", TRAINED)
@pytest.mark.parametrize("failure", ["python", "gpu"])
def test_memory_that_runs_out_in_any_training(
    stage: str, failure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = only(finished_with(tmp_path, stage), stage)
    fail_at(STEP, FAILURES[failure], monkeypatch)
    with pytest.raises(TrainingError, match=f"out of memory at step {STEP} "):
        run.run()
    monkeypatch.undo()
    check_goes_on(run, stage, STEP)


def test_memory_that_runs_out_elsewhere_names_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = only(tiny(tmp_path, finished=True), "teacher_logits")

    def starve(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(run.notes, "update", starve)
    with pytest.raises(PipelineError, match=r"^teacher_logits ran out of memory \(MemoryError\): free some and run"):
        run.run()
    monkeypatch.undo()
    outcomes = run.run()
    assert [name for name, outcome in outcomes.items() if outcome.state != "reused"] == ["teacher_logits"]


@pytest.mark.parametrize("stage", [TRAINED[0], *(pytest.param(one, marks=pytest.mark.faults) for one in TRAINED[1:])])
def test_a_loss_that_is_no_number_stops_at_the_same_step_again_and_names_it(stage: str, tmp_path: Path) -> None:
    run = finished_with(tmp_path, stage)
    wild = f"{SETTINGS[stage]}.learning_rate=1e30"
    said = []
    for _ in range(2):
        with pytest.raises(TrainingError) as caught:
            run.run(wild)
        said.append(str(caught.value))
        assert not transient(caught.value)  # the same data would give the same number
    found = re.match(r"(?:loss|gradient norm) of '\S+' is (?:nan|inf) at step (\d+) on rows (with row_id )?\d", said[0])
    assert found, said[0]
    assert f"the last good checkpoint is step-{int(found[1]):08d}: lower the learning_rate" in said[0]
    assert said[1] == said[0]
    assert run.versions()[stage] == [1]
    assert {outcome.state for outcome in run.run().values()} == {"reused"}


class ToldToStopError(BaseException):
    """As Prefect's TerminationSignal, and KeyboardInterrupt: nobody's mistake."""


@pytest.mark.parametrize("stage", ["general_distillation", "teacher"])
def test_a_training_told_to_stop_loses_no_step(stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = only(tiny(tmp_path, finished=True), stage)
    seldom = "runtime.checkpoint_seconds=1e6"
    fail_at(STEP, ToldToStopError, monkeypatch)
    with pytest.raises(ToldToStopError):
        run.run(seldom)
    monkeypatch.undo()
    check_goes_on(run, stage, STEP)


def test_a_finished_restart_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    three = ("teacher.restarts=3", "teacher.finetune.epochs=2", "runtime.checkpoint_seconds=1e6")
    whole, cut = tiny(tmp_path / "whole", finished=True), tiny(tmp_path / "cut", finished=True)
    whole.run(*three, until="teacher")
    fail_at(STEP, MemoryError, monkeypatch, after=2)
    with pytest.raises(TrainingError, match=f"out of memory at step {STEP} "):
        cut.run(*three, until="teacher")
    monkeypatch.undo()
    cut.notes.lines.clear()
    cut.run(*three, until="teacher")
    steps = [line for line in cut.notes.lines if line.startswith("resumed at step")]
    total = re.search(r"of (\d+)", steps[0])
    assert total
    assert steps == [f"resumed at step {total[1]} of {total[1]}"] * 2
    assert cut.artifact("teacher").manifest.digest == whole.artifact("teacher").manifest.digest


@pytest.mark.parametrize("day", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps_changes_nothing(day: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, until = tiny(tmp_path / "jumps"), "general_distillation"
    real, calls = time.time, list[float]()

    def jumping() -> float:
        calls.append(real() + day * (len(calls) % 3))
        return calls[-1]

    monkeypatch.setattr(time, "time", jumping)
    assert {outcome.state for outcome in run.run().values()} == {"completed"}
    assert {outcome.state for outcome in run.run().values()} == {"reused"}
    assert run.store.verify(*run.store.list()) == []
    assert run.store.prune(1) == []
    assert max(calls) - min(calls) > abs(day)  # it was asked, and did jump
    undisturbed = tiny(tmp_path / "undisturbed", finished=True)
    for stage in DIGESTED:
        assert run.artifact(stage).manifest.digest == undisturbed.artifact(stage).manifest.digest
    timings = run.artifact(until).manifest.timings
    assert 0 <= timings.seconds < day if day > 0 else timings.seconds >= 0
    assert json.loads((run.path(until) / "manifest.json").read_bytes())["timings"]["seconds"] == timings.seconds


def test_trainings_are_long_enough_to_break() -> None:
    """The step at which they break is no first and no last one."""
    assert TRAINING["epochs"] * 48 // TRAINING["batch_size"] > STEP + 1
