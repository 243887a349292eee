"""What each class makes of a score: how often it is found, how often it is claimed, and what it is taken for."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.report.content import ResultRow

MOST_CLASSES = 30  # more are no table that anybody reads


class ClassFigures(NamedTuple):
    """One model on one class; None where there is nothing to divide by."""

    precision: float | None
    recall: float | None
    f1: float | None


class ClassLine(NamedTuple):
    """One class: its dev rows, their share of all, and each model's figures."""

    name: str
    rows: int
    share: float
    figures: list[ClassFigures]


class Classes(NamedTuple):
    """The table of classes, and of one model what each class is taken for, classes by row, answers by column."""

    names: Sequence[str]
    models: list[str]
    lines: list[ClassLine]
    confused: str
    confusion: Sequence[Sequence[int]]


def classes(rows: Sequence[ResultRow], names: Sequence[str]) -> Classes | None:
    """The classes as some models see them; the last one's confusion. None where there are none, or too many.

    Args:
        rows: the models to show.
        names: of the classes, in the order of the counts.
    """
    counted = [(row.name, np.array(row.confusion)) for row in rows if row.confusion]
    if not counted or not 2 <= len(names) <= MOST_CLASSES:
        return None
    each = [class_figures(counts) for _, counts in counted]
    there = counted[0][1].sum(axis=1)
    lines = [
        ClassLine(name, int(there[at]), float(there[at] / there.sum()), [figures[at] for figures in each])
        for at, name in enumerate(names)
    ]
    name, counts = counted[-1]
    return Classes(names, [model for model, _ in counted], lines, name, counts.tolist())


def class_figures(counts: np.ndarray) -> list[ClassFigures]:
    """Precision, recall and F1 of each class, from (classes, classes) counts, rows by label."""
    right, there, claimed = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    return [
        ClassFigures(_share(hits, said), _share(hits, true), _share(2 * hits, said + true))
        for hits, true, said in zip(right, there, claimed, strict=True)
    ]


def majority(row: ResultRow) -> float | None:
    """The accuracy of giving every row the commonest class; None where there are no classes."""
    if not row.confusion:
        return None
    there = np.sum(row.confusion, axis=1)
    return float(there.max() / there.sum())


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
