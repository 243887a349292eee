"""A run with a test split: dev chooses, test judges, and every place says so."""

import json
from contextlib import chdir
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from tiny_run import Tiny, tiny, write_csv

from flows.result import outcome, print_outcome
from pipeline.evaluation.kept_predictions import PREDICTIONS, read_predictions

SHORT = ("general_distillation.training.max_steps=2", "phases.*.training.max_steps=2", "evaluation.tfidf=true")
BOTH = "which chose the checkpoints too"


def with_test(run: Tiny) -> Tiny:
    topics = ("animal", "city", "food")
    rows = [
        (f"{word} seen near the old one", topics[place % 3])
        for place, word in enumerate(["otter", "tower", "onion"] * 5)
    ]
    write_csv(run.folder / "test.csv", ("sentence", "topic"), rows)
    return run


@pytest.mark.slow
def test_the_test_rows_judge_every_model(tmp_path: Path) -> None:
    run = with_test(tiny(tmp_path))
    done = run.run("task.test=test.csv", *SHORT)
    found = json.loads((done["evaluation"].artifact.path / "results.json").read_text("utf-8"))
    assert (found["judged_on"], found["judged_rows"]) == ("test", 15)
    kept = read_predictions(done["evaluation"].artifact.path / PREDICTIONS)
    for row in found["results"]:
        assert row["metrics"]["accuracy"] == pytest.approx((kept.answers[row["name"]] == kept.labels).mean())
    assert len(kept.labels) == 15
    page = (done["report"].artifact.path / "report.html").read_text("utf-8")
    card = (done["report"].artifact.path / "students" / "distilled" / "README.md").read_text("utf-8")
    assert "15 test rows" in page
    assert "15 test rows" in card
    assert BOTH not in page + card
    again = ("task.test=test.csv", *SHORT, "evaluation.bootstrap=21")
    run.run(*again)
    with chdir(run.folder):
        found = outcome(run.stages(*again), run.store)
    said = StringIO()
    print_outcome(found, Console(file=said, width=200))
    assert "Results on 15 test rows" in said.getvalue()
    assert "These test rows have judged 2 evaluations in this store." in said.getvalue()


def test_without_one_every_table_says_that_the_same_rows_chose(tmp_path: Path) -> None:
    run = tiny(tmp_path, finished=True)
    page = (run.path("report") / "report.html").read_text("utf-8")
    card = (run.path("report") / "students" / "distilled" / "README.md").read_text("utf-8")
    assert f"24 dev rows, {BOTH}" in page
    assert f"24 dev rows, {BOTH}" in card
