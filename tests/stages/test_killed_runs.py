"""kill -9 anywhere, then the same command again: the same student, and no finished stage repeated."""

import signal
from pathlib import Path

import pytest
from killed_run import killed
from tiny_run import PRETRAINED, STAGES, Notes, Tiny, finished_with, tiny, write_tree

SIGNS_OF_LIFE = {  # how many a stage has given when it dies; reading a task and writing a report give none
    "corpus": 20,
    "general_distillation": 4,
    "teacher": 17,
    "candidates": 2,
    "augmentation": 2,
    "teacher_logits": 1,
    "intermediate": 5,
    "prediction": 6,
    "label_only": 3,
    "evaluation": 2,
    "latency": 2,
}
TRAINED = ("general_distillation", "teacher", "intermediate", "prediction", "label_only")
MEASURED = ("latency", "report")  # latency is never the same twice


def digests(run: Tiny) -> dict[str, str]:
    """Content of every artifact that has one right value."""
    return {stage: run.artifact(stage).manifest.digest for stage in STAGES if stage not in MEASURED}


@pytest.mark.slow
def test_a_run_killed_twice_in_each_stage_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    undisturbed, run = tiny(tmp_path / "undisturbed", finished=True), tiny(tmp_path / "killed")
    deaths = [(stage, calls) for stage in STAGES for calls in {SIGNS_OF_LIFE.get(stage): 0, None: 0}]
    for victim, died_of, there in killed(run, deaths):
        assert died_of == signal.SIGKILL
        assert there == sorted(STAGES[: STAGES.index(victim)])  # before it everything, of it nothing
    outcomes = run.run()
    assert [name for name, outcome in outcomes.items() if outcome.state != "reused"] == ["report"]
    assert run.versions() == {stage: [1] for stage in STAGES}
    assert run.students() == undisturbed.students()
    assert digests(run) == digests(undisturbed)
    assert all(run.artifact(stage).manifest.timings.resumed for stage in TRAINED)
    assert not [line for artifact in run.store.list() for line in run.store.verify(artifact)]


def test_a_training_that_was_killed_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    undisturbed, run = tiny(tmp_path / "undisturbed", finished=True), tiny(tmp_path / "killed")
    ((_, died_of, there),) = killed(run, [("general_distillation", 4)])
    assert (died_of, there) == (signal.SIGKILL, ["corpus"])
    steps = run.plan()
    assert [reason.action for reason in steps.values()][:3] == ["reuse", "resume", "run"]
    outcomes = run.run(until="general_distillation")
    assert [outcome.state for outcome in outcomes.values()] == ["reused", "resumed"]
    assert any(line.startswith("resumed at step 3 of") for line in run.notes.lines)
    for stage in outcomes:
        assert run.artifact(stage).manifest.digest == undisturbed.artifact(stage).manifest.digest


def test_a_pretraining_that_was_killed_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    undisturbed, run = finished_with(tmp_path / "undisturbed", "pretrain"), tiny(tmp_path / "killed")
    write_tree(run.folder, PRETRAINED)
    for _, died_of, there in killed(run, [("pretrain", 4), ("pretrain", None)]):
        assert (died_of, there) == (signal.SIGKILL, ["corpus"])
    outcomes = run.run(until="pretrain")
    assert [outcome.state for outcome in outcomes.values()] == ["reused", "resumed"]
    assert any(line.startswith("resumed at step") for line in run.notes.lines)
    weights = [each.path("pretrain") / "model" / "model.safetensors" for each in (undisturbed, run)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert run.artifact("pretrain").manifest.digest == undisturbed.artifact("pretrain").manifest.digest


def test_work_of_another_configuration_is_not_continued(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    killed(run, [("general_distillation", 4)])
    assert run.plan("general_distillation.terms.hidden=2")["general_distillation"].action == "run"
    run.notes = Notes()
    outcome = run.run("general_distillation.terms.hidden=2", until="general_distillation")["general_distillation"]
    assert outcome.state == "completed"
    assert not run.notes.lines
    assert run.plan()["general_distillation"].action == "resume"  # what was interrupted can still go on
