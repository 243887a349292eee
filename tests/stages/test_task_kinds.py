"""Regression, pairs, and MNLI's two dev sets, through every stage of the task."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from scipy.stats import pearsonr, spearmanr
from tiny_run import Tiny, sentences, tiny
from transformers import AutoModelForSequenceClassification
from transformers import pipeline as predictor

from pipeline.data.tokens.logits import read_logits

RELATIONS = ("entailment", "neutral", "contradiction")


@pytest.fixture
def run(tmp_path: Path) -> Tiny:
    return tiny(tmp_path, finished=True)


def pairs(count: int, seed: int) -> list[tuple[str, str]]:
    return [(a, b) for (a, _), (b, _) in zip(sentences(count, seed), sentences(count, seed + 50), strict=True)]


def write_tsv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join("\t".join(map(str, row)) for row in [header, *rows]) + "\n", encoding="utf-8")


def stsb(run: Tiny) -> tuple[str, ...]:
    """STS-B in GLUE's layout, with other labels than any model will guess."""
    header = ("index", "sentence1", "sentence2", "score")
    for split, count, seed in (("train", 40, 1), ("dev", 16, 2)):
        rows = [(n, a, b, round(5 * len(set(a) & set(b)) / 20, 2)) for n, (a, b) in enumerate(pairs(count, seed))]
        write_tsv(run.folder / "STS-B" / f"{split}.tsv", header, rows)
    return ("task.name=stsb", "task.dir=STS-B", "task.unlabelled=[]", "task.text=text", "task.label=label")


def mnli(run: Tiny) -> tuple[str, ...]:
    header = ("index", "sentence1", "sentence2", "gold_label")
    for split, count, seed in (("train", 48, 1), ("dev_matched", 18, 2), ("dev_mismatched", 12, 3)):
        rows = [(n, a, b, RELATIONS[n * seed % 3]) for n, (a, b) in enumerate(pairs(count, seed))]
        write_tsv(run.folder / "MNLI" / f"{split}.tsv", header, rows)
    return ("task.name=mnli", "task.dir=MNLI", "task.unlabelled=[]", "task.text=text", "task.label=label")


def test_regression_on_pairs(run: Tiny) -> None:
    outcomes = run.run(*stsb(run), "task.max_length=40")
    assert outcomes["corpus"].state == outcomes["general_distillation"].state == "reused"
    for folder in (
        outcomes["teacher"].artifact.path / "model",
        outcomes["report"].artifact.path / "students" / "distilled",
        outcomes["label_only"].artifact.path / "students" / "distilled",
    ):
        config = AutoModelForSequenceClassification.from_pretrained(folder).config
        assert (config.num_labels, config.problem_type) == (1, "regression")
    logits = read_logits(outcomes["teacher_logits"].artifact.path / "logits.arrow")
    assert logits.shape == (outcomes["teacher_logits"].artifact.metrics["rows"], 1)
    assert np.unique(logits).size > 10
    found = json.loads((outcomes["evaluation"].artifact.path / "results.json").read_text())["results"]
    for row in found:
        assert set(row["metrics"]) == {"pearson", "spearman", "pearson_spearman"}
        assert row["interval"][0] <= row["interval"][1]
    history = json.loads((outcomes["prediction"].artifact.path / "training_history.json").read_text())
    assert "soft" in history["distilled"]["curve"][0]


def test_the_scores_of_a_regression_are_the_libraries_own(run: Tiny) -> None:
    brief = ("teacher.finetune.epochs=1", "teacher.finetune.learning_rate=0.0001")  # spread out, still at random
    outcomes = run.run(*stsb(run), "task.max_length=48", *brief, until="teacher")
    labels = parquet.read_table(outcomes["task_data"].artifact.path / "dev.parquet")["label"].to_numpy()
    assert labels.min() >= 0
    assert labels.max() <= 5
    rows = parquet.read_table(outcomes["task_data"].artifact.path / "dev.parquet").to_pylist()
    ask = predictor("text-classification", str(outcomes["teacher"].artifact.path / "model"), function_to_apply="none")
    assert not run.notes.lines  # nothing was cut
    said = [ask({"text": row["text"], "text_pair": row["text_pair"]})["score"] for row in rows]
    mean = (pearsonr(said, labels)[0] + spearmanr(said, labels)[0]) / 2
    assert outcomes["teacher"].artifact.metrics["dev_score"] == pytest.approx(mean, abs=1e-4)


def test_gold_labels_of_a_regression_may_be_fitted_as_the_released_code_does(run: Tiny) -> None:
    changes = (
        *stsb(run),
        "task.max_length=40",
        "augmentation=null",
        "phases.intermediate=null",
        "phases.prediction.terms={soft: 0, hard: 1}",
    )
    outcomes = run.run(*changes, until="prediction")
    history = json.loads((outcomes["prediction"].artifact.path / "training_history.json").read_text())
    assert history["distilled"]["curve"][0]["hard"] > 0


def test_mnli_is_scored_on_both_its_dev_sets(run: Tiny) -> None:
    outcomes = run.run(*mnli(run), "task.max_length=40", "augmentation.variants=1")
    task = json.loads((outcomes["task_data"].artifact.path / "task.json").read_text())
    assert set(task["splits"]) == {"train", "dev", "dev_mismatched"}
    assert task["label_names"] == list(RELATIONS)
    found = json.loads((outcomes["evaluation"].artifact.path / "results.json").read_text())["results"]
    scored = [row for row in found if row["role"] != "tfidf"]
    assert all(set(row["metrics"]) == {"accuracy", "dev_mismatched_accuracy"} for row in scored)
    assert any(row["metrics"]["accuracy"] != row["metrics"]["dev_mismatched_accuracy"] for row in scored)
    model = AutoModelForSequenceClassification.from_pretrained(
        outcomes["report"].artifact.path / "students" / "distilled"
    )
    assert list(model.config.id2label.values()) == list(RELATIONS)


def test_a_variant_of_a_pair_changes_one_of_its_texts_and_names_which(run: Tiny) -> None:
    outcomes = run.run(*mnli(run), "task.max_length=40", until="augmentation")
    rows = parquet.read_table(outcomes["task_data"].artifact.path / "train.parquet").to_pylist()
    origins = {row["row_id"]: row for row in rows}
    variants = parquet.read_table(outcomes["augmentation"].artifact.path / "variants.parquet").to_pylist()
    assert {row["column"] for row in variants} == {"text", "text_pair"}
    for row in variants:
        kept = {"text": "text_pair", "text_pair": "text"}[row["column"]]
        assert row[kept] == origins[row["origin_id"]][kept]
        assert row[row["column"]] != origins[row["origin_id"]][row["column"]]
