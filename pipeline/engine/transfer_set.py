"""The transfer set: the rows that students are trained on, original rows first, then their variants.

A variant is flipped if the teacher's prediction for it differs from that for its origin: another class, or, if labels
are numbers, a number more than a tenth of the label range away.
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
    """The rows that stage ``teacher_logits`` wrote, with the teacher's logits.

    Attributes:
        table: tokens of the training rows, then the unlabelled rows, then the variants.
        logits: (rows, classes), the teacher's logits; (rows, 1) for a regression.
        train: number of training rows.
        originals: number of training and unlabelled rows.
        tolerance: largest difference between two scores that still agree; None for classes.
    """

    table: TokenTable
    logits: NDArray[np.float32]
    train: int
    originals: int
    tolerance: float | None

    @classmethod
    def open(cls, folder: Path, task: TaskData) -> "TransferSet":
        """Open the output of stage ``teacher_logits``.

        Args:
            folder: the artifact's folder.
            task: the task whose rows they are.
        """
        return cls.of(TokenTable.open(folder / TOKENS), read_logits(folder / LOGITS), task)

    @classmethod
    def of(cls, table: TokenTable, logits: NDArray[np.float32], task: TaskData) -> "TransferSet":
        """Build the transfer set of a task.

        Args:
            table: tokens; the rows after the task's training and unlabelled rows are variants of these.
            logits: (rows, classes), the teacher's.
            task: its splits say how many rows are original.
        """
        train = task.splits["train"].num_rows
        unlabelled = task.splits.get("unlabelled")
        originals = train + (0 if unlabelled is None else unlabelled.num_rows)
        return cls(table, logits, train, originals, flip_tolerance(task))

    @cached_property
    def origins(self) -> NDArray[np.int64]:
        """(rows,), index of the row that each row was made from; an original row has its own index."""
        return find_origins(self.table.column("row_id"), self.originals)

    @cached_property
    def flipped(self) -> NDArray[np.bool_]:
        """(rows,), whether the teacher's prediction for a row differs from that for its origin."""
        return flips(self.logits, self.origins, self.tolerance)

    def learned_from(self, labels: Labels, *, augmented: bool = True, gold: bool = False) -> NDArray[np.int64]:
        """Return the indices of the rows to train on, ascending.

        Args:
            labels: which label a variant carries: the teacher's for the variant ("teacher"), the same but only for
                variants that are not flipped ("agree"), or that of its origin ("origin").
            augmented: use the variants.
            gold: the losses fit gold labels: leave out rows without one, and variants too unless they carry their
                origin's label.
        """
        kept = np.ones(len(self.table), dtype=bool)
        if gold:
            kept &= self.origins < self.train
        if not augmented or (gold and labels != "origin"):
            kept[self.originals :] = False
        elif labels == "agree":
            kept &= ~self.flipped
        return np.flatnonzero(kept)

    def label_source_rows(self, labels: Labels) -> NDArray[np.int64]:
        """Return, for each row, the index of the row whose logits it is trained on, (rows,).

        Args:
            labels: "origin" gives the origin's index, anything else the row's own.
        """
        return self.origins if labels == "origin" else np.arange(len(self.table))

    def gold(self, labels: Labels) -> NDArray[np.float64]:
        """Return the gold label of each row, (rows,), NaN for a row without one.

        Args:
            labels: with "origin", a variant has the gold label of its origin.
        """
        column = self.table.column("label")
        return column[self.origins] if labels == "origin" else column


def find_origins(row_ids: NDArray[np.int64], originals: int) -> NDArray[np.int64]:
    """Find the original row of each row.

    Args:
        row_ids: (rows,), ids; a variant has the id of its origin.
        originals: number of leading rows that are original.

    Returns:
        (rows,), the index of the first original row with the same id; for an original row its own index.
    """
    known = row_ids[:originals]
    order = np.argsort(known, kind="stable")
    found = np.arange(len(row_ids))
    if len(row_ids) > originals:
        places = np.minimum(np.searchsorted(known, row_ids[originals:], sorter=order), originals - 1)
        found[originals:] = order[places]
    assert np.array_equal(row_ids[found], row_ids)  # noqa: S101 - every variant was made from one of these rows
    return found


def flips(logits: NDArray[np.float32], origins: NDArray[np.int64], tolerance: float | None) -> NDArray[np.bool_]:
    """Return whether each row's prediction differs from that of its origin, (rows,).

    Args:
        logits: (rows, classes), or (rows, 1) for scores.
        origins: (rows,), index of each row's origin.
        tolerance: largest difference between two scores that still agree; None compares classes.
    """
    if tolerance is None:
        best = logits.argmax(axis=1)
        return best != best[origins]
    return np.abs(logits[:, 0] - logits[origins, 0]) > tolerance


def flip_tolerance(task: TaskData) -> float | None:
    """Return the largest difference between two scores of a regression that still agree; None for classes.

    Args:
        task: its label range, or that of its training labels.
    """
    if task.kind == "classification":
        return None
    low, high = task.label_range or _range(task.splits["train"]["label"].to_numpy())
    return FLIP_SHARE * (high - low)


def _range(labels: NDArray[np.float64]) -> tuple[float, float]:
    return float(labels.min()), float(labels.max())
