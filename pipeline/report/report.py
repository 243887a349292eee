"""The report: one HTML file with the results of a run, their costs and their lineage.

The file is self-contained: it loads no script, font or picture.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipeline.report import formats
from pipeline.report.augmentation import quality_examples, quality_figures
from pipeline.report.content import ReportData, ResultRow
from pipeline.report.lineage import lineage_svg
from pipeline.report.page import fill
from pipeline.report.plots import loss_curves, metric_curves, trade_off
from pipeline.report.summary import best_student, size_ratio, speed_ratio, summarise
from pipeline.report.tables import short_cells

OPTIONAL = ("interval", "retention", "difference", "parameters", "size_bytes", "flops", "latency_ms", "speed")
MOST_CLASSES = 30  # a larger table is not readable


def render(data: ReportData) -> str:
    """Return the page, to be written in UTF-8; the same data give the same text."""
    main, teacher, student = data.main_metric, data.first("teacher"), best_student(data.results, data.main_metric)
    metrics = list(dict.fromkeys([main, *(name for row in data.results for name in row.metrics)]))
    return fill(
        "template.html",
        data=data,
        summary=summarise(data.results, main),
        figures=key_figures(data),
        metrics=metrics,
        results=[(row, short_cells(row, metrics)) for row in data.results],
        has={key: any(getattr(row, key) is not None for row in data.results) for key in OPTIONAL},
        losses=loss_curves(data.curves),
        evaluations=metric_curves(data.evaluations, main, teacher.metrics.get(main) if teacher else None),
        trade_off=trade_off(data),
        latency=latency_table(data.latency),
        classes=classes([row for row in (teacher, student) if row is not None], data.label_names),
        lineage=lineage_svg(data.stages),
        quality=quality_figures(data.augmentation) if data.augmentation else [],
        variants=quality_examples(data.augmentation) if data.augmentation else [],
    )


def key_figures(data: ReportData) -> list[tuple[str, str]]:
    """Return the large figures of the best student: (figure, meaning)."""
    student = best_student(data.results, data.main_metric)
    if student is None:
        return []
    teacher = data.first("teacher")
    size, speed = size_ratio(student, teacher), speed_ratio(student)
    of_teacher = f"of the teacher's {formats.words(data.main_metric)}"
    constant = majority(student) if data.main_metric == "accuracy" else None
    if constant is not None:
        of_teacher += f": {student.metrics['accuracy']:.1%}, where one answer to every row has {constant:.1%}"
    candidates = [
        (student.retention, formats.percent, of_teacher),
        (size, formats.percent, "of its parameters"),
        (speed, formats.times, "its speed"),
    ]
    return [(write(value), meaning) for value, write, meaning in candidates if value is not None]


class LatencyCell(NamedTuple):
    """One model's milliseconds a batch, how many times faster than the teacher, and whether the times were steady."""

    milliseconds: float
    speed: tuple[float, float, float] | None
    reliable: bool


class LatencyTable(NamedTuple):
    """Columns are models; a line is (batch, length, one cell or None for each model)."""

    models: list[str]
    lines: list[tuple[int, int, list[LatencyCell | None]]]


def latency_table(rows: Sequence[Mapping[str, Any]]) -> LatencyTable:
    """Arrange latency rows with the models side by side, by batch and then by length."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    cells = {
        (row["batch"], row["length"], row["model"]): LatencyCell(row["milliseconds"], row["speed"], row["reliable"])
        for row in rows
    }
    sizes = sorted({key[:2] for key in cells})
    lines = [(batch, length, [cells.get((batch, length, model)) for model in models]) for batch, length in sizes]
    return LatencyTable(models, lines)


class ClassFigures(NamedTuple):
    """One model's figures for one class; None for a division by zero."""

    precision: float | None
    recall: float | None
    f1: float | None


class ClassLine(NamedTuple):
    """One class: its number of dev rows, their share of all, and the figures of each model."""

    name: str
    rows: int
    share: float
    figures: list[ClassFigures]


class Classes(NamedTuple):
    """The table of classes, and the confusion matrix of one model, rows by class, columns by prediction."""

    names: Sequence[str]
    models: list[str]
    lines: list[ClassLine]
    confused: str
    confusion: Sequence[Sequence[int]]


def classes(rows: Sequence[ResultRow], names: Sequence[str]) -> Classes | None:
    """Return the classes with the figures of some models; None without classes, or with too many.

    Args:
        rows: the models; the confusion matrix is the last one's.
        names: names of the classes, in the order of the counts.
    """
    models = [row for row in rows if row.confusion]
    if not models or not 2 <= len(names) <= MOST_CLASSES:
        return None
    confusions = [np.array(row.confusion) for row in models]
    figures = zip(*map(_class_figures, confusions), strict=True)
    labelled = confusions[0].sum(axis=1)
    lines = [
        ClassLine(name, int(count), float(count / labelled.sum()), list(by_model))
        for name, count, by_model in zip(names, labelled, figures, strict=True)
    ]
    return Classes(names, [row.name for row in models], lines, models[-1].name, confusions[-1].tolist())


def _class_figures(counts: np.ndarray) -> list[ClassFigures]:
    """Return precision, recall and F1 of each class, from (classes, classes) counts, rows by label."""
    right, labelled, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    return [
        ClassFigures(_share(hits, found), _share(hits, true), _share(2 * hits, found + true))
        for hits, true, found in zip(right, labelled, predicted, strict=True)
    ]


def majority(row: ResultRow) -> float | None:
    """Return the accuracy of predicting the most frequent class for every row; None without classes."""
    if not row.confusion:
        return None
    labelled = np.sum(row.confusion, axis=1)
    return float(labelled.max() / labelled.sum())


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
