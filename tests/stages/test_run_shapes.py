"""What a configuration leaves out, adds or replaces, from an undisturbed run on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pyarrow import parquet
from safetensors.torch import load_file
from tiny_run import SHAPE, TOPICS, Tiny, save_teacher, sentences, tiny, write_csv
from transformers import AutoConfig, AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer

from pipeline.data.tokens.logits import read_logits

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
    assert (
        run.run("phases.prediction.augmented=false", until="prediction")["prediction"].artifact.metrics["rows"]
        == 48 + 9
    )
    labels = run.run("phases.prediction.terms={soft: 0, hard: 1}", until="prediction")["prediction"]
    assert labels.artifact.metrics["rows"] == 48
    history = json.loads((labels.artifact.path / "training_history.json").read_text())
    assert "hard" in history["distilled"]["curve"][0]


def test_without_the_intermediate_phase_the_general_student_meets_the_logits(run: Tiny) -> None:
    before = run.students()
    outcomes = run.run("phases.intermediate=null", *SHORT)
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
    assert set(artifact.manifest.inputs) == {"task_data", "candidates"}
    assert set(found["candidates"].artifact.manifest.inputs) == {"task_data", "tokenizer", "vectors"}
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
        {"name": "twin", "start": "./teacher"},
    ]
    outcomes = run.run(f"students={json.dumps(students)}")
    found = json.loads((outcomes["evaluation"].artifact.path / "results.json").read_text())["results"]
    assert [row["name"] for row in found] == [
        *("teacher", "label-only", *(f"label-only like {name}" for name in ("wide", "twin"))),
        *("small", "wide", "self", "twin", "TF-IDF"),
    ]
    same_size = {row["name"]: row["parameters"] for row in found if row["role"] != "tfidf"}
    assert same_size["small"] == same_size["label-only"] != same_size["wide"] == same_size["label-only like wide"]
    assert same_size["self"] == same_size["label-only"]  # its folder has the shape of the small one
    assert same_size["twin"] == same_size["label-only like twin"] == same_size["teacher"] != same_size["wide"]
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
    assert outcomes["candidates"].artifact.manifest.inputs["mlm"].ref == made.ref
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
    assert outcomes["candidates"].artifact.manifest.inputs["mlm"].ref == outcomes["pretrain"].artifact.ref


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


def classify(folder: Path, rows: list[str], *, relu: bool) -> tuple[Any, Any]:
    """Logits of a saved classifier, of its pooled vectors or of these rectified; and the model."""
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(rows, truncation=True, max_length=20, padding=True, return_tensors="pt")
    with torch.inference_mode():
        pooled = model.eval().bert(**batch).pooler_output
        return model.classifier(pooled.relu() if relu else pooled), model


def test_the_released_codes_logits_are_those_of_the_teacher_and_of_its_scores(run: Tiny) -> None:
    """A teacher that says animal of everything, and city once its pooled vectors are rectified."""
    dev = [row for row in sentences(30, 2) if row[1] != "animal" or len(row[0]) % 2]
    write_csv(run.folder / "dev.csv", ("sentence", "topic"), dev)
    texts, names = [text for text, _ in dev], [topic for _, topic in dev]
    torch.manual_seed(0)
    labels = {"id2label": dict(enumerate(TOPICS)), "label2id": {name: i for i, name in enumerate(TOPICS)}}
    model = AutoModelForSequenceClassification.from_pretrained(run.folder / "teacher", num_labels=3, **labels)
    tokenizer = AutoTokenizer.from_pretrained(run.folder / "teacher")
    with torch.no_grad():
        pooled = model.eval().bert(**tokenizer(texts, padding=True, return_tensors="pt")).pooler_output
        model.classifier.weight.zero_()
        model.classifier.weight[0] = -(pooled.mean(0) < 0).float()
        model.classifier.bias.copy_(torch.tensor([0.0, 1e-2, -1.0]))
    model.save_pretrained(run.folder / "teacher")
    assert {int(row.argmax()) for row in classify(run.folder / "teacher", texts, relu=False)[0]} == {0}
    assert {int(row.argmax()) for row in classify(run.folder / "teacher", texts, relu=True)[0]} == {1}
    assert names.count("animal") != names.count("city")
    changes = ("teacher.finetune=null", "augmentation=null", "phases.intermediate=null", "students.0.start=random")
    outcomes = run.run("relu_logits=true", "corpus=null", "general_distillation=null", *changes, *SHORT)
    city = names.count("city") / len(names)
    assert outcomes["teacher"].artifact.metrics["dev_score"] == pytest.approx(city)
    assert outcomes["evaluation"].artifact.metrics["models"]["teacher"]["accuracy"] == pytest.approx(city)
    rows = parquet.read_table(run.path("task_data") / "train.parquet")["text"].to_pylist()
    stored = read_logits(outcomes["teacher_logits"].artifact.path / "logits.arrow")
    np.testing.assert_allclose(stored[:48], classify(run.folder / "teacher", rows, relu=True)[0], atol=1e-5)


@pytest.mark.parametrize("relu", [False, True])
def test_the_prediction_phase_starts_at_the_soft_cross_entropy_of_the_stored_logits(run: Tiny, relu: bool) -> None:
    """All rows in one batch and no dropout: the first loss is that of the student of phase one."""
    still = ("students.0.dropout=0", "students.1.dropout=0", "phases.prediction.training.batch_size=999")
    own = (
        f"relu_logits={str(relu).lower()}",
        "phases.prediction.terms.soft.temperature=2",
        *still,
        "augmentation=null",
    )
    outcomes = run.run(*own, until="prediction")
    rows = [
        text
        for split in ("train", "unlabelled")
        for text in parquet.read_table(run.path("task_data") / f"{split}.parquet")["text"].to_pylist()
    ]
    teacher = torch.tensor(read_logits(outcomes["teacher_logits"].artifact.path / "logits.arrow"), dtype=torch.float64)
    student, _ = classify(outcomes["intermediate"].artifact.path / "students" / "distilled", rows, relu=relu)
    wanted = -(torch.softmax(teacher / 2, 1) * torch.log_softmax(student.double() / 2, 1)).sum(1).mean()
    history = json.loads((outcomes["prediction"].artifact.path / "training_history.json").read_text())
    assert history["distilled"]["curve"][0]["soft"] == pytest.approx(float(wanted), abs=1e-6)
