"""One undisturbed run, looked at from outside with plain libraries."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pyarrow import parquet
from tiny_run import STAGES, STUDENTS, TOPICS, Tiny, tiny
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from pipeline.data.tokens.logits import read_logits

LABELS = dict(enumerate(TOPICS))  # sorted by name, as the data gives them


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return tiny(tmp_path_factory.mktemp("run"), finished=True)


def logits_of(folder: Path, texts: list[str], max_length: int = 20) -> Any:
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForSequenceClassification.from_pretrained(folder)
    batch = tokenizer(texts, truncation=True, max_length=max_length, padding=True, return_tensors="pt")
    with torch.inference_mode():
        return model.eval()(**batch).logits.numpy()


def test_each_stage_has_one_artifact_that_verifies(run: Tiny) -> None:
    assert run.versions() == {stage: [1] for stage in STAGES}
    assert not [line for artifact in run.store.list() for line in run.store.verify(artifact)]
    assert not run.store.damaged()
    assert not list(run.store.layout.works.iterdir())


def test_nothing_is_pickled(run: Tiny) -> None:
    kinds = {path.suffix for path in (run.folder / "artifacts").rglob("*") if path.is_file()}
    assert not kinds & {".bin", ".pt", ".pth", ".pkl", ".pickle", ".npy"}
    assert ".safetensors" in kinds


def test_every_model_folder_opens_and_keeps_the_label_names(run: Tiny) -> None:
    root = run.folder / "artifacts"
    folders = sorted(path.parent for path in root.rglob("model.safetensors"))
    stages = {path.relative_to(root).parts[0] for path in folders}
    assert stages == {
        *("general_distillation", "teacher", "intermediate", "prediction", "label_only", "report"),
    }
    for folder in folders:
        model = AutoModelForSequenceClassification.from_pretrained(folder)
        assert len(AutoTokenizer.from_pretrained(folder)) == model.config.vocab_size
        if "general_distillation" not in folder.parts:
            assert model.config.id2label == LABELS
            assert model.config.label2id == {name: index for index, name in LABELS.items()}


def test_augmented_rows_name_their_origins_and_change_some_of_their_words(run: Tiny) -> None:
    train = parquet.read_table(run.path("task_data") / "train.parquet")
    origins = dict(zip(train["row_id"].to_pylist(), train["text"].to_pylist(), strict=True))
    variants = parquet.read_table(run.path("augmentation") / "variants.parquet").to_pylist()
    assert len(variants) == run.artifact("augmentation").metrics["variants"] > len(origins)
    for row in variants:
        before, after = origins[row["origin_id"]].split(), row["text"].split()
        assert len(before) == len(after)
        assert row["num_changed"] == sum(old != new for old, new in zip(before, after, strict=True)) > 0


def test_stored_logits_are_the_teachers_own_of_originals_unlabelled_and_variants(run: Tiny) -> None:
    rows = [
        text
        for stage, name in (("task_data", "train"), ("task_data", "unlabelled"), ("augmentation", "variants"))
        for text in parquet.read_table(run.path(stage) / f"{name}.parquet")["text"].to_pylist()
    ]
    stored = read_logits(run.path("teacher_logits") / "logits.arrow")
    assert run.artifact("teacher_logits").metrics["original_rows"] == 48 + 9
    np.testing.assert_allclose(stored, logits_of(run.path("teacher") / "model", rows), atol=1e-5)


def test_the_table_holds_the_scores_that_the_saved_models_have(run: Tiny) -> None:
    dev = parquet.read_table(run.path("task_data") / "dev.parquet")
    labels = dev["label"].to_numpy()
    results = {row["name"]: row for row in json.loads((run.path("report") / "results.json").read_text())["results"]}
    assert set(results) == {"teacher", "label-only", *STUDENTS, "TF-IDF"}
    folders = {
        "teacher": run.path("teacher") / "model",
        "label-only": run.path("label_only") / "students" / "distilled",
        **{name: run.path("report") / "students" / name for name in STUDENTS},
    }
    for name, folder in folders.items():
        model = AutoModelForSequenceClassification.from_pretrained(folder)
        accuracy = (logits_of(folder, dev["text"].to_pylist()).argmax(1) == labels).mean()
        assert results[name]["metrics"] == {"accuracy": pytest.approx(accuracy)}
        assert results[name]["parameters"] == sum(p.numel() for p in model.parameters())
        assert results[name]["size_bytes"] == (folder / "model.safetensors").stat().st_size
        assert results[name]["retention"] == pytest.approx(accuracy / results["teacher"]["metrics"]["accuracy"])
        assert results[name]["latency_ms"] > 0
        assert (results[name]["speed"] is None) == (name == "teacher")
        assert results[name]["flops"] > 0
    assert [results[name]["role"] for name in STUDENTS] == ["student", "ablation"]
    assert results["teacher"]["metrics"]["accuracy"] > 0.5
    assert run.artifact("teacher").metrics["dev_score"] == results["teacher"]["metrics"]["accuracy"]


def test_the_report_is_one_file_that_asks_for_nothing_else(run: Tiny) -> None:
    page = (run.path("report") / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"""<(?:script|link|iframe|img)[^>]*(?:src|href)=["'](?!data:)""", page)
    assert [stage for stage in STAGES if f"{stage}/v0001" not in page] == ["report"]
    for shown in ("general distillation", "intermediate", "prediction", "label only", "hidden", "TF-IDF"):
        assert shown in page
    for name in STUDENTS:
        card = (run.path("report") / "students" / name / "README.md").read_text(encoding="utf-8")
        assert name in card
        assert run.artifact("prediction").manifest.fingerprint in card


def test_each_phase_logs_its_terms_by_name(run: Tiny) -> None:
    terms = {
        "general_distillation": {"embedding", "hidden", "attention"},
        "intermediate": {"embedding", "hidden", "attention"},
        "prediction": {"soft"},
        "label_only": {"hard"},
    }
    for stage, names in terms.items():
        history = json.loads((run.path(stage) / "training_history.json").read_text())
        for learner in history.values():
            for entry in learner["curve"]:
                assert set(entry) == {"step", "learning_rate", "loss"} | names
                assert entry["loss"] == pytest.approx(sum(entry[name] for name in names))
    assert set(json.loads((run.path("general_distillation") / "training_history.json").read_text())) == {"distilled"}


def test_the_general_student_is_where_the_distilled_one_starts(tmp_path: Path) -> None:
    """Other weights in stage one reach the student that starts from it, and not the one that starts at random."""
    run = tiny(tmp_path, finished=True)
    before = run.students()
    run.run("general_distillation.terms.attention=0.25", until="prediction")
    after = run.students()
    assert after["random-start"] == before["random-start"]
    assert after["distilled"] != before["distilled"]


def test_a_run_without_a_task_ends_with_the_general_students(tmp_path: Path) -> None:
    run = tiny(tmp_path, finished=True)
    outcomes = run.run("task=null")
    assert {name: outcome.state for name, outcome in outcomes.items()} == {
        "corpus": "reused",
        "general_distillation": "reused",
    }
