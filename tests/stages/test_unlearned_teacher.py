"""A teacher that is no better than one answer to every row: said where its students are shown, and no share of it."""

import io
import json
from contextlib import chdir
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console
from tiny_run import sentences, tiny, write_csv

from flows.result import outcome, print_outcome
from pipeline.data.tasks.table import TaskData
from pipeline.engine.constant_answer import best_constant, unlearned

BRIEF = (
    *("task.unlabelled=[]", "augmentation=null", "phases.intermediate=null", "evaluation.tfidf=false"),
    *("teacher.finetune.epochs=1", "teacher.finetune.learning_rate=1e-9"),
    *("general_distillation=null", "corpus=null", "evaluation.label_only=null"),
    "students=[{name: small, layers: 1, hidden: 16, intermediate: 24, start: random}]",
)
SAID = "has learned nothing"


def task(labels: list[float], metric: str = "accuracy", positive: str | None = None) -> TaskData:
    names = ("fraud", "ok") if metric != "pearson_spearman" else ()
    kind = "classification" if names else "regression"
    return TaskData("t", kind, names, metric, False, None, 8, {"dev": pa.table({"label": labels})}, {}, positive)


@pytest.mark.parametrize(
    ("given", "answer", "score"),
    [
        (task([0, 1, 1, 1]), "'ok'", 0.75),
        (task([0, 1, 1, 1], "f1", "fraud"), "'fraud'", 0.4),
        (task([0, 1, 1, 1], "matthews"), "'fraud'", 0.0),
        (task([0.5, 1.0, 2.0], "pearson_spearman"), "one number", 0.0),
    ],
)
def test_the_best_constant_answer(given: TaskData, answer: str, score: float) -> None:
    found = best_constant(given)
    assert (found.answer, found.score) == (answer, pytest.approx(score))
    assert SAID in unlearned(given, score, found)[0]
    assert unlearned(given, np.nextafter(score, 2), found) == []


def test_students_of_a_teacher_that_knows_nothing_keep_no_share_of_it(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    for name, count, seed in (("train", 48, 1), ("dev", 24, 2)):
        rows = [(text, "ok" if number % 6 else "fraud") for number, (text, _) in enumerate(sentences(count, seed))]
        write_csv(run.folder / f"{name}.csv", ("sentence", "topic"), rows)
    done = run.run(*BRIEF)
    found = json.loads((done["evaluation"].artifact.path / "results.json").read_text())
    assert {row["retention"] for row in found["results"]} == {None}
    assert "0.833" in found["warnings"][0]  # 20 of 24 dev rows are ok
    with chdir(run.folder):
        shown = outcome(run.stages(*BRIEF), run.store)
    said = io.StringIO()
    print_outcome(shown, Console(file=said, width=400))
    report = done["report"].artifact
    page, card = (report.path / "report.html").read_text(), (report.path / "students/small/README.md").read_text()
    for text in (said.getvalue(), page, card):
        assert SAID in text
        assert "keeps" not in text.replace("what students keep", "")
    assert "%" not in report.metrics["summary"].split(" at ")[0]
