"""A run scored by F1: the same class in every stage, and its name wherever a person reads the figure."""

import csv
import io
import json
from contextlib import chdir
from pathlib import Path

import pytest
from rich.console import Console
from tiny_run import Tiny, sentences, tiny, write_csv

from flows.result import outcome, print_outcome
from pipeline.errors import ConfigError, DataError
from tasks.presentation import metric_rows, result_rows

BRIEF = (
    *(
        "task.metric=f1",
        "task.unlabelled=[]",
        "augmentation=null",
        "phases.intermediate=null",
        "teacher.finetune.epochs=1",
    ),
    *(
        "general_distillation=null",
        "corpus=null",
        "students=[{name: small, layers: 1, hidden: 16, intermediate: 24, start: random}]",
    ),
)


def label_two(run: Tiny) -> None:
    """Two labels, of which the one to be found is seldom and the first of the alphabet."""
    for name, count, seed in (("train", 40, 1), ("dev", 20, 2)):
        rows = [(text, "fraud" if topic == "food" else "ok") for text, topic in sentences(count, seed)]
        write_csv(run.folder / f"{name}.csv", ("sentence", "topic"), rows)


def test_f1_says_of_which_label(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    label_two(run)
    with pytest.raises(DataError, match=r"'fraud', 'ok'.*task\.positive_label"):
        run.run(*BRIEF, until="task_data")
    done = run.run(*BRIEF, "task.positive_label=fraud")
    found = json.loads((done["evaluation"].artifact.path / "results.json").read_text())
    dev = [row["topic"] for row in csv.DictReader(io.StringIO((run.folder / "dev.csv").read_text()))]
    assert dev.count("fraud") < dev.count("ok")
    teacher = next(row for row in found["results"] if row["role"] == "teacher")
    assert teacher["metrics"]["f1"] == pytest.approx(done["teacher"].artifact.metrics["dev_score"])
    said = "F1 of fraud"
    table = io.StringIO()
    with chdir(run.folder):
        shown_at_the_end = outcome(run.stages(*BRIEF, "task.positive_label=fraud"), run.store)
    print_outcome(shown_at_the_end, Console(file=table, width=200))
    assert said in table.getvalue()
    report = done["report"].artifact
    assert said in (report.path / "report.html").read_text()
    assert said in (report.path / "students" / "small" / "README.md").read_text()
    assert said in result_rows(found["results"], found["metric_names"])[0]
    shown = {row["figure"] for row in metric_rows(done["evaluation"].artifact.metrics, {})}
    assert "models: teacher: F1 of fraud" in shown


def test_a_plan_refuses_what_it_can_know(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    with pytest.raises(ConfigError, match=r"'fraud', 'ok'.*task\.positive_label"):
        run.stages(*BRIEF, "task.label_names={f: fraud, o: ok}")
