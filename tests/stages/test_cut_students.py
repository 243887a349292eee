"""Students that start from their teacher, in whole runs."""

import json
from contextlib import chdir
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_run import Tiny, tiny
from transformers import AutoModelForSequenceClassification

from pipeline.errors import ConfigError, PipelineError
from pipeline.stages.graph import find_mistakes

CUT = "students=[{name: cut, layers: 1, hidden: 16, intermediate: 24, dropout: 0, start: teacher}]"
BASE = "students=[{name: cut, layers: 1, hidden: 16, intermediate: 24, dropout: 0, start: pretrained}]"
SHORT = ("phases.*.training.max_steps=3", "phases.*.training.learning_rate=1e-5", "augmentation=null")
ALONE = ("corpus=null", "general_distillation=null")


@pytest.fixture
def run(tmp_path: Path) -> Tiny:
    return tiny(tmp_path, finished=True)


def first_losses(run: Tiny, stage: str, student: str) -> dict[str, float]:
    curve: dict[str, float] = json.loads((run.path(stage) / "training_history.json").read_text())[student]["curve"][0]
    return curve


def test_a_student_is_cut_out_of_the_finetuned_teacher_without_any_corpus(run: Tiny) -> None:
    outcomes = run.run(CUT, *ALONE, *SHORT)
    assert list(outcomes)[:2] == ["task_data", "teacher"]
    model = AutoModelForSequenceClassification.from_pretrained(run.path("initialisation") / "students" / "cut")
    assert model.config.num_labels == 3
    results = {row["name"]: row for row in json.loads((run.path("report") / "results.json").read_text())["results"]}
    assert results["cut"]["role"] == "student"


def test_its_distillation_begins_at_a_lower_loss_than_a_random_start(run: Tiny) -> None:
    random_start = CUT.replace("teacher", "random")
    run.run(random_start, *ALONE, *SHORT, until="intermediate")
    before = first_losses(run, "intermediate", "cut")["loss"]
    run.run(CUT, *ALONE, *SHORT, until="intermediate")
    assert first_losses(run, "intermediate", "cut")["loss"] < before / 2


def test_projections_go_on_from_stage_to_stage(run: Tiny) -> None:
    """With a learning rate so low that nothing moves, they are those of the closed form to the end."""
    run.run(CUT, *ALONE, *SHORT, "phases.*.training.learning_rate=1e-30", until="intermediate")
    made, kept = (
        load_file(run.path(stage) / "projections" / "cut.safetensors") for stage in ("initialisation", "intermediate")
    )
    assert set(made) == set(kept) == {"embedding", "hidden"}
    for name, weight in made.items():
        torch.testing.assert_close(kept[name], weight)


def test_a_phase_may_end_with_a_head_in_closed_form(run: Tiny) -> None:
    """The encoder is the same with and without; the head is another."""

    def weights(fit: str) -> dict[str, torch.Tensor]:
        run.run(CUT, *ALONE, *SHORT, f"phases.intermediate.fit_head={fit}", until="intermediate")
        return load_file(run.path("intermediate") / "students" / "cut" / "model.safetensors")

    plain, fitted = weights("false"), weights("true")
    moved = {name for name, tensor in plain.items() if not torch.equal(tensor, fitted[name])}
    heads = {f"{part}.{kind}" for part in ("classifier", "bert.pooler.dense") for kind in ("weight", "bias")}
    assert moved == heads


def test_a_student_cut_out_of_the_pretrained_teacher_learns_general_distillation(run: Tiny) -> None:
    outcomes = run.run(BASE, *SHORT, "general_distillation.training.max_steps=2", until="prediction")
    assert "initialisation" not in outcomes
    assert "pretrained_initialisation" in outcomes
    assert "general_distillation" in outcomes
    general = first_losses(run, "general_distillation", "cut")["loss"]
    run.run(BASE.replace("pretrained", "general"), *SHORT, until="general_distillation")
    assert general < first_losses(run, "general_distillation", "cut")["loss"] / 2


def test_without_a_corpus_it_is_cut_on_the_rows_of_the_task(run: Tiny) -> None:
    outcomes = run.run(BASE, *ALONE, *SHORT, until="prediction")
    assert "general_distillation" not in outcomes
    assert outcomes["pretrained_initialisation"].artifact.metrics["tokens"] > 100


def test_the_same_run_cuts_the_same_bytes_and_another_teacher_others(run: Tiny) -> None:
    def weights() -> bytes:
        return (run.path("initialisation") / "students" / "cut" / "model.safetensors").read_bytes()

    run.run(CUT, *ALONE, *SHORT, until="initialisation")
    first = weights()
    assert run.plan(CUT, *ALONE, *SHORT)["initialisation"].action == "reuse"
    run.run(CUT, *ALONE, *SHORT, "teacher.finetune.epochs=1", until="initialisation")
    assert weights() != first


@pytest.mark.parametrize(
    ("students", "message"),
    [
        ("layers: 9, hidden: 16, start: teacher", "has 9 layers, its teacher"),
        ("layers: 1, hidden: 640, start: teacher", "is 640 wide, its teacher"),
        ("layers: 1, hidden: 16, start: teacher, take: [7]", "names a layer outside"),
        ("layers: 2, hidden: 16, start: teacher, take: every_second", "takes every second of"),
    ],
)
def test_what_cannot_be_cut_is_refused_in_plan(run: Tiny, students: str, message: str) -> None:
    config = run.config(f"students=[{{name: cut, {students}}}]", *ALONE)
    with chdir(run.folder):
        found = [str(mistake) for mistake in find_mistakes(config)]
    assert any(message in mistake for mistake in found), found
    assert all("\n" not in mistake for mistake in found)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("students.0.take=first",), "takes teacher layers but starts from general"),
        ((CUT, "relu_logits=true"), "is cut out of the teacher, which relu_logits alters"),
        ((CUT, "task=null"), "starts from the fine-tuned teacher, but there is no task"),
    ],
)
def test_contradictions_are_one_line(run: Tiny, overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        run.config(*overrides)
    assert "\n" not in str(raised.value)


def test_a_teacher_of_another_family_says_what_can_be_cut(run: Tiny) -> None:
    path = run.folder / "teacher" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "distilbert"}))
    with chdir(run.folder):
        found = [str(mistake) for mistake in find_mistakes(run.config(CUT, *ALONE))]
    assert any("no student can be cut out of a 'distilbert' teacher" in mistake for mistake in found), found


def test_weights_that_are_no_numbers_are_refused(run: Tiny) -> None:
    path = run.folder / "teacher" / "model.safetensors"
    weights = load_file(path)
    name = next(name for name in weights if name.endswith("layer.0.attention.self.query.weight"))
    weights[name][0, 0] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(PipelineError, match="not finite"):
        run.run(BASE, *ALONE, *SHORT, until="pretrained_initialisation")
