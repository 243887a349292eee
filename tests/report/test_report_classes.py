import math
from dataclasses import replace

import pytest

from pipeline.report.content import ReportData, ResultRow
from pipeline.report.report import MOST_CLASSES, classes, majority, render
from pipeline.report.summary import diagnose

NAMES = ("no", "yes", "perhaps")
TEACHER = ResultRow("teacher", "teacher", {"accuracy": 0.8}, retention=1.0, confusion=[[6, 0, 0], [1, 2, 0], [1, 0, 0]])
STUDENT = ResultRow("tiny", "student", {"accuracy": 0.6}, retention=0.75, confusion=[[6, 0, 0], [3, 0, 0], [1, 0, 0]])


def test_a_student_that_gives_one_answer_is_seen_for_what_it_is() -> None:
    found = classes([TEACHER, STUDENT], NAMES)
    assert found is not None
    assert found.models == ["teacher", "tiny"]
    no, yes, perhaps = found.lines
    assert (no.rows, no.share) == (6, 0.6)
    assert no.figures[1] == (0.6, 1.0, pytest.approx(0.75))
    assert yes.figures[0] == (1.0, pytest.approx(2 / 3), pytest.approx(0.8))
    assert yes.figures[1] == (None, 0.0, 0.0)  # never claimed
    assert perhaps.rows == 1
    assert (found.confused, found.confusion[1]) == ("tiny", [3, 0, 0])
    assert majority(STUDENT) == 0.6


def test_the_page_sets_the_commonest_class_beside_the_big_number() -> None:
    data = ReportData("a run", "2026-01-12", "accuracy", [TEACHER, STUDENT], label_names=NAMES)
    page = render(data)
    assert "of the teacher&#39;s accuracy: 60.0%, where one answer to every row has 60.0%" in page
    assert '<h2 id="classes">' in page
    assert "What tiny takes each class for" in page
    hostile = render(replace(data, label_names=("<script>", "b", "c")))
    assert "<script>" not in hostile
    assert page.count("<caption") == page.count("<table") == 3


def test_without_classes_or_with_too_many_there_is_no_table() -> None:
    assert classes([replace(STUDENT, confusion=None)], NAMES) is None
    assert classes([STUDENT], [str(number) for number in range(MOST_CLASSES + 1)]) is None
    assert majority(replace(STUDENT, confusion=None)) is None


def curve(*losses: float) -> list[dict[str, float]]:
    return [{"step": step, "loss": loss, "labels": loss} for step, loss in enumerate(losses, 1)]


def test_a_loss_that_stays_at_guessing_has_learned_nothing() -> None:
    flat, falling = curve(*[math.log(3)] * 20), curve(*(math.log(3) * 0.9**step for step in range(20)))
    (said,) = diagnose({"teacher / restart 0": flat, "label only": falling}, 3)
    assert said.startswith("teacher / restart 0 has learned nothing: its loss ended at 1.099")
    assert "ln 3 = 1.099" in said
    assert "higher learning rate" in said


def test_where_guessing_costs_something_else_nothing_is_said() -> None:
    flat = [math.log(3)] * 20
    assert diagnose({"a": [{"step": 1, "loss": loss, "prediction": loss} for loss in flat]}, 3) == []
    assert diagnose({"a": curve(*flat)}, 0) == []  # numbers, not classes
    assert diagnose({"a": curve(*flat[:2])}, 3) == []  # too short to tell
