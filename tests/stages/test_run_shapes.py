"""What a configuration leaves out, adds or replaces, from an undisturbed run on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pyarrow import parquet
from safetensors.torch import load_file
from tiny_run import SHAPE, Tiny, save_teacher, tiny
from transformers import AutoConfig, AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer

from pipeline.data.logits import read_logits

SHORT = ("evaluation.label_only=null", "evaluation.tfidf=false")
SEVERAL_STEPS = {"epochs": 3, "learning_rate": 0.01, "batch_size": 8, "max_tokens": None}
ARCHITECTURE = {"layers": 2, "hidden": 32, "heads": 4, "intermediate": 48}
SCRATCH = {"mode": "scratch", "architecture": ARCHITECTURE, "max_length": 40, "training": SEVERAL_STEPS}


@pytest.fixture
def run(tmp_path: Path) -> Tiny:
    return tiny(tmp_path, finished=True)


def pretraining(**section: Any) -> str:
    return f"pretrain={json.dumps(section)}"


def test_without_augmentation_the_transfer_set_is_the_rows_there_are(run: Tiny) -> None:
    outcomes = run.run("augmentation=null", *SHORT)
    assert "augmentation" not in outcomes
    assert outcomes["teacher_logits"].artifact.metrics["augmented_rows"] == 0
    assert outcomes["prediction"].artifact.metrics["rows"] == 48 + 9


def test_the_prediction_phase_may_leave_the_augmented_rows_out(run: Tiny) -> None:
    assert run.run("prediction.augmented=false", until="prediction")["prediction"].artifact.metrics["rows"] == 48 + 9
    labels = run.run("prediction.targets=labels", until="prediction")["prediction"]
    assert labels.artifact.metrics["rows"] == 48
    history = json.loads((labels.artifact.path / "training_history.json").read_text())
    assert "labels" in history["distilled"]["curve"][0]


def test_without_the_intermediate_phase_the_general_student_meets_the_logits(run: Tiny) -> None:
    before = run.students()
    outcomes = run.run("intermediate=null", *SHORT)
    assert "intermediate" not in outcomes
    assert outcomes["report"].state == "completed"
    assert set(run.students()) == set(before)
    assert run.students() != before


def test_without_general_distillation_every_student_starts_at_random(run: Tiny) -> None:
    outcomes = run.run("general_distillation=null", "corpus=null", "students.0.start=random", *SHORT)
    assert not {"corpus", "general_distillation"} & set(outcomes)
    results = json.loads((outcomes["evaluation"].artifact.path / "results.json").read_text())["results"]
    assert [row["role"] for row in results] == ["teacher", "student", "student"]


def test_neighbours_for_every_word_when_there_is_no_masked_lm(run: Tiny) -> None:
    words = ["otter", "badger", "heron", "bread", "pepper", "tower", "bridge"]
    numbers = np.random.default_rng(0).normal(size=(len(words), 4))
    lines = [" ".join([word, *(f"{x:.4f}" for x in row)]) for word, row in zip(words, numbers, strict=True)]
    (run.folder / "glove.txt").write_text("\n".join(lines) + "\n")
    found = run.run("augmentation.mlm=null", "augmentation.vectors={path: glove.txt}", until="augmentation")
    artifact = found["augmentation"].artifact
    assert set(artifact.manifest.inputs) == {"task_data", "tokenizer", "vectors"}
    origins = parquet.read_table(run.path("task_data") / "train.parquet")
    before = dict(zip(origins["row_id"].to_pylist(), origins["text"].to_pylist(), strict=True))
    variants = parquet.read_table(artifact.path / "variants.parquet").to_pylist()
    assert variants
    for row in variants:
        for old, new in zip(before[row["origin_id"]].split(), row["text"].split(), strict=True):
            assert old == new or {old, new} <= set(words)


def test_unlabelled_rows_are_augmented_when_asked(run: Tiny) -> None:
    found = run.run("augmentation.unlabelled=true", until="augmentation")["augmentation"].artifact
    assert found.metrics["rows"] == 48 + 9


def test_students_of_several_shapes_and_one_that_starts_from_a_folder(run: Tiny) -> None:
    general = run.path("general_distillation") / "students" / "distilled"
    general.rename(run.folder / "own")  # any encoder of the vocabulary will do
    general.mkdir()
    students = [
        {"name": "small", **SHAPE},
        {"name": "wide", "layers": 2, "hidden": 32, "layer_map": "bottom"},
        {"name": "self", "start": "./own"},
    ]
    outcomes = run.run(f"students={json.dumps(students)}")
    found = json.loads((outcomes["evaluation"].artifact.path / "results.json").read_text())["results"]
    assert [row["name"] for row in found] == [
        *("teacher", "label-only", "label-only like wide", "label-only like self"),
        *("small", "wide", "self", "TF-IDF"),
    ]
    same_size = {row["name"]: row["parameters"] for row in found if row["role"] != "tfidf"}
    assert same_size["small"] == same_size["label-only"] != same_size["wide"] == same_size["label-only like wide"]
    configs = {
        name: AutoConfig.from_pretrained(run.path("prediction") / "students" / name) for name in ("wide", "self")
    }
    assert (configs["wide"].num_hidden_layers, configs["wide"].hidden_size) == (2, 32)
    assert (configs["self"].num_hidden_layers, configs["self"].hidden_size) == (1, 16)
    card = (run.path("report") / "students" / "wide" / "README.md").read_text()
    assert "label-only like wide" in card


def test_pretraining_from_nothing_makes_vocabulary_model_and_teacher(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    own = ("teacher.model=null", "corpus.tokenizer={vocab_size: 100}", "task.max_length=40", pretraining(**SCRATCH))
    outcomes = run.run(*own, *SHORT)
    made = outcomes["pretrain"].artifact
    model = AutoModelForMaskedLM.from_pretrained(made.path / "model")
    assert len(AutoTokenizer.from_pretrained(made.path / "model")) == model.config.vocab_size == 100
    assert made.metrics["parameters"] == sum(p.numel() for p in model.parameters())
    assert outcomes["teacher"].artifact.manifest.inputs["pretrained"].ref == made.ref
    assert outcomes["augmentation"].artifact.manifest.inputs["mlm"].ref == made.ref
    student = AutoModelForSequenceClassification.from_pretrained(run.path("prediction") / "students" / "distilled")
    assert student.config.vocab_size == 100
    assert "pretrain/v0001" in (run.path("report") / "report.html").read_text()


def test_pretraining_continues_the_teacher(run: Tiny) -> None:
    outcomes = run.run(pretraining(mode="continue", training=SEVERAL_STEPS), until="teacher")
    before = load_file(run.folder / "teacher" / "model.safetensors")
    after = load_file(outcomes["pretrain"].artifact.path / "model" / "model.safetensors")
    assert set(before) <= set(after)
    assert not torch.equal(
        before["bert.encoder.layer.0.output.dense.weight"], after["bert.encoder.layer.0.output.dense.weight"]
    )
    assert outcomes["teacher"].artifact.manifest.inputs["pretrained"].ref == outcomes["pretrain"].artifact.ref
    assert outcomes["corpus"].state == "reused"


def test_a_head_fitted_to_a_frozen_encoder_leaves_its_weights_bit_for_bit(run: Tiny) -> None:
    """An encoder saved without a head, as sentence encoders are."""
    whole = AutoModelForMaskedLM.from_pretrained(run.folder / "teacher")
    whole.base_model.save_pretrained(run.folder / "teacher")
    before = load_file(run.folder / "teacher" / "model.safetensors")
    assert not any(name.startswith("cls.") for name in before)
    outcomes = run.run(pretraining(mode="mlm_head", training=SEVERAL_STEPS), until="augmentation")
    after = load_file(outcomes["pretrain"].artifact.path / "model" / "model.safetensors")
    assert any(name.startswith("cls.") for name in after)
    for name, tensor in before.items():
        assert torch.equal(tensor, after[f"bert.{name}"]), name
    metrics = outcomes["pretrain"].artifact.metrics
    assert metrics["last_loss"] < metrics["first_loss"]
    assert outcomes["augmentation"].artifact.manifest.inputs["mlm"].ref == outcomes["pretrain"].artifact.ref


def test_a_teacher_that_knows_the_task_is_matched_by_label_name(run: Tiny) -> None:
    """Its outputs stand in another order than the data's labels; its logits are reordered, not relearned."""
    save_teacher(run.folder / "tuned")
    names = ["food", "animal", "city"]
    torch.manual_seed(3)
    theirs = AutoModelForSequenceClassification.from_pretrained(
        run.folder / "tuned",
        num_labels=3,
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    )
    theirs.save_pretrained(run.folder / "tuned")
    changes = ("teacher.finetune=null", "teacher.model=./tuned", "augmentation.mlm=./teacher")
    outcomes = run.run(*changes, until="teacher_logits")
    ours = AutoModelForSequenceClassification.from_pretrained(run.path("teacher") / "model")
    assert list(ours.config.id2label.values()) == ["animal", "city", "food"]
    rows = parquet.read_table(run.path("task_data") / "train.parquet")["text"].to_pylist()
    tokenizer = AutoTokenizer.from_pretrained(run.folder / "tuned")
    batch = tokenizer(rows, truncation=True, max_length=20, padding=True, return_tensors="pt")
    with torch.inference_mode():
        wanted = theirs.eval()(**batch).logits[:, [1, 2, 0]].numpy()
    stored = read_logits(outcomes["teacher_logits"].artifact.path / "logits.arrow")
    np.testing.assert_allclose(stored[:48], wanted, atol=1e-5)


def test_of_several_seeds_the_best_teacher_is_kept(run: Tiny) -> None:
    changes = ("teacher.restarts=3", "teacher.finetune.learning_rate=0.01", "teacher.finetune.epochs=4")
    found = run.run(*changes, until="teacher")["teacher"].artifact
    scores = found.metrics["restart_scores"]
    assert len(scores) == 3
    assert len(set(scores)) > 1
    assert found.metrics["dev_score"] == max(scores)


def test_the_released_codes_logits_reach_teacher_students_and_scores(run: Tiny) -> None:
    outcomes = run.run("relu_logits=true", *SHORT)
    folder = outcomes["teacher"].artifact.path / "model"
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    rows = parquet.read_table(run.path("task_data") / "train.parquet")["text"].to_pylist()
    batch = AutoTokenizer.from_pretrained(folder)(
        rows, truncation=True, max_length=20, padding=True, return_tensors="pt"
    )
    with torch.inference_mode():
        wanted = model.classifier(model.bert(**batch).pooler_output.relu()).numpy()
    stored = read_logits(outcomes["teacher_logits"].artifact.path / "logits.arrow")
    np.testing.assert_allclose(stored[:48], wanted, atol=1e-5)
