"""Phases other than TinyBERT's two: how many there are, what they learn from, and what depends on them."""

import json
from pathlib import Path

import pytest
from tiny_run import Tiny, tiny

from pipeline.errors import ConfigError

HINTON = "phases=[{name: distillation, terms: {soft: {weight: 0.9, temperature: 4}, hard: 0.1}}]"
ALONE = ("general_distillation=null", "students.distilled=null", "corpus=null")
SHORT = ("phases.*.training.max_steps=3", "phases.*.training.learning_rate=0.001")


@pytest.fixture
def run(tmp_path: Path) -> Tiny:
    return tiny(tmp_path, finished=True)


def rows_of(run: Tiny, phases: str) -> int:
    """Rows that a run's only phase learns from, without variants."""
    outcomes = run.run(*ALONE, phases, *SHORT, "augmentation=null", until="distillation")
    rows: int = outcomes["distillation"].artifact.metrics["rows"]
    return rows


def losses(run: Tiny, stage: str) -> dict[str, float]:
    """The first logged losses of the student that starts at random."""
    found = json.loads((run.path(stage) / "training_history.json").read_text())["random-start"]["curve"][0]
    return {name: value for name, value in found.items() if name not in ("step", "learning_rate", "loss")}


def test_one_phase_of_soft_targets_and_gold_labels_needs_no_corpus(run: Tiny) -> None:
    """Every row of the transfer set is learned from; variants and unlabelled rows from the soft targets alone."""
    outcomes = run.run(*ALONE, HINTON, *SHORT)
    assert [name for name in outcomes if name in ("intermediate", "prediction", "distillation")] == ["distillation"]
    transfer = run.artifact("teacher_logits").metrics
    assert outcomes["distillation"].artifact.metrics["rows"] == transfer["rows"] > transfer["labelled"]
    assert set(losses(run, "distillation")) == {"soft", "hard"}
    names = [row["name"] for row in json.loads((run.path("report") / "results.json").read_text())["results"]]
    assert "random-start" in names


def test_gold_labels_of_originals_are_learned_and_those_of_others_left_out(run: Tiny) -> None:
    """With labels alone, rows without one are not among the rows; with soft targets beside them they are."""
    alone = "phases=[{name: distillation, terms: {hard: 1}}]"
    rows = run.run(*ALONE, alone, *SHORT, "augmentation=null", until="distillation")["distillation"].artifact.metrics[
        "rows"
    ]
    assert rows == run.artifact("teacher_logits").metrics["train_rows"]
    both = run.run(*ALONE, HINTON, *SHORT, "augmentation=null", until="distillation")["distillation"].artifact.metrics[
        "rows"
    ]
    assert both == run.artifact("teacher_logits").metrics["original_rows"] > rows


def test_layers_and_outputs_can_be_learned_in_one_phase(run: Tiny) -> None:
    mixed = "phases=[{name: both, terms: {hidden: 1, attention: 0.5, soft: 1, second: {term: hidden, weight: 2}}}]"
    run.run(mixed, *SHORT, until="both")
    found = losses(run, "both")
    assert list(found) == ["hidden", "second", "attention", "soft"]
    assert run.artifact("both").metrics["dev_score"]["random-start"] > 0


def test_three_phases_follow_each_other(run: Tiny) -> None:
    last = "{name: annealed, terms: {soft: {weight: {start: 1, end: 0}}, hard: {weight: {start: 0, end: 1}}}}"
    phases = f"phases=[{{name: first, terms: {{hidden: 1}}}}, {{name: second, terms: {{soft: 1}}}}, {last}]"
    outcomes = run.run(phases, *SHORT, until="annealed")
    assert [name for name in outcomes if name in ("first", "second", "annealed")] == ["first", "second", "annealed"]
    found = losses(run, "annealed")
    assert found["hard"] == 0  # its weight begins at 0
    assert found["soft"] > 0


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ("[{name: a, terms: {hidden: 1}}]", "phase 'a' is the last one and trains no outputs"),
        ("[{name: teacher, terms: {soft: 1}}]", "a phase is named 'teacher', like a stage of every run: rename it"),
        ("[{name: a, terms: {soft: 1}}, {name: a, terms: {soft: 1}}]", "named 'a', like another phase"),
        ("[{name: a, terms: {soft: 0}}]", "phase 'a' has no term"),
        ("[{name: a, terms: {sof: 1}}]", "there is no term 'sof': did you mean soft?"),
        ("[{name: a, terms: {x: {term: hiden}}}]", "x is of the term 'hiden': choose one of embedding, hidden"),
        ("[{name: a, terms: {soft: {temprature: 1}}}]", "did you mean phases.0.terms.soft.temperature?"),
        ("[{name: a, terms: {embedding: {projection: shared}, soft: 1}}]", "shares the projection of hidden"),
        ("[{name: a, terms: {soft: {temperature: {start: 0, end: 1}}}}]", "a temperature of 0 divides by zero"),
        ("[{name: a, terms: {soft: {weight: {start: 0, end: 1, over: [0.5, 0.2]}}}}]", "expected two shares"),
        ("[]", "phases is empty"),
    ],
)
def test_a_mistake_in_a_phase_is_one_line(run: Tiny, phases: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        run.config(f"phases={phases}")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
