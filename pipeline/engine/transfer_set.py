"""The transfer set is what students learn from: original rows, then variants, each knowing its origin.

A variant flips when the teacher says something else of it than of its origin: another class, or, where labels
are numbers, one that is farther away than a tenth of their range.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.config.augmentation import Labels
from pipeline.data.tasks.table import TaskData
from pipeline.data.tokens.logits import read_logits
from pipeline.data.tokens.table import TokenTable

FLIP_SHARE = 0.1  # of the range of a regression's labels: half a point of STS-B's five
LOGITS, TOKENS = "logits.arrow", "tokens"


@dataclass(frozen=True, eq=False)
class TransferSet:
    """The rows that stage ``teacher_logits`` wrote, and what the teacher says of each.

    Attributes:
        table: the rows as tokens: training rows, unlabelled rows, variants.
        logits: (rows, classes), the teacher's.
        train: training rows.
        originals: training and unlabelled rows.
        tolerance: how far apart two scores still agree; None for classes.
    """

    table: TokenTable
    logits: NDArray[np.float32]
    train: int
    originals: int
    tolerance: float | None

    @classmethod
    def open(cls, folder: Path, task: TaskData) -> "TransferSet":
        """The transfer set of a finished stage ``teacher_logits``."""
        return cls.of(TokenTable.open(folder / TOKENS), read_logits(folder / LOGITS), task)

    @classmethod
    def of(cls, table: TokenTable, logits: NDArray[np.float32], task: TaskData) -> "TransferSet":
        """The transfer set of a task; what follows its original rows in the table are variants of them."""
        train = task.splits["train"].num_rows
        unlabelled = task.splits.get("unlabelled")
        originals = train + (0 if unlabelled is None else unlabelled.num_rows)
        return cls(table, logits, train, originals, flip_tolerance(task))

    @cached_property
    def origins(self) -> NDArray[np.int64]:
        """(rows,), the index of the row that each was made from; of an original row its own."""
        return find_origins(self.table.column("row_id"), self.originals)

    @cached_property
    def flipped(self) -> NDArray[np.bool_]:
        """(rows,), whether the teacher says something else of a row than of its origin."""
        return flips(self.logits, self.origins, self.tolerance)

    def learned_from(self, labels: Labels, *, augmented: bool = True, gold: bool = False) -> NDArray[np.int64]:
        """Which rows are learned from, ascending.

        Args:
            labels: whose label a variant carries.
            augmented: use the variants.
            gold: fit gold labels: rows without one are left out, and so are variants unless they carry
                their origin's.
        """
        kept = np.ones(len(self.table), dtype=bool)
        if gold:
            kept &= self.origins < self.train
        if not augmented or (gold and labels != "origin"):
            kept[self.originals :] = False
        elif labels == "agree":
            kept &= ~self.flipped
        return np.flatnonzero(kept)

    def speakers(self, labels: Labels) -> NDArray[np.int64]:
        """(rows,), the row whose logits stand for each row: its own, or its origin's."""
        return self.origins if labels == "origin" else np.arange(len(self.table))

    def gold(self, labels: Labels) -> NDArray[np.float64]:
        """(rows,), the gold label of each row, NaN where it has none; a variant has its origin's if it carries that."""
        column = self.table.column("label")
        return column[self.origins] if labels == "origin" else column


def find_origins(row_ids: NDArray[np.int64], originals: int) -> NDArray[np.int64]:
    """The first of the ``originals`` leading rows with each row's id; of these rows themselves, their own index."""
    known = row_ids[:originals]
    order = np.argsort(known, kind="stable")
    found = np.arange(len(row_ids))
    if len(row_ids) > originals:
        places = np.minimum(np.searchsorted(known, row_ids[originals:], sorter=order), originals - 1)
        found[originals:] = order[places]
    assert np.array_equal(row_ids[found], row_ids)  # noqa: S101 - every variant was made from one of these rows
    return found


def flips(logits: NDArray[np.float32], origins: NDArray[np.int64], tolerance: float | None) -> NDArray[np.bool_]:
    """(rows,), whether a row's label is not its origin's: another class, or a score beyond the tolerance."""
    if tolerance is None:
        best = logits.argmax(axis=1)
        return best != best[origins]
    return np.abs(logits[:, 0] - logits[origins, 0]) > tolerance


def flip_tolerance(task: TaskData) -> float | None:
    """How far apart two scores of a regression still agree; None for classes, which agree or do not."""
    if task.kind == "classification":
        return None
    low, high = task.label_range or _range(task.splits["train"]["label"].to_numpy())
    return FLIP_SHARE * (high - low)


def _range(labels: NDArray[np.float64]) -> tuple[float, float]:
    return float(labels.min()), float(labels.max())
