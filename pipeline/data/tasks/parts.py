"""Make the rows of a split from the rows of a source: number, filter, label and draw them.

A ``Part`` is rows with their ids and, once known, their labels. Each step is a function from parts to parts.

A draw is a prefix of one fixed order of the rows, so that a larger sample contains every smaller one. The order is a
hash of (seed, purpose, row) instead of a random generator's: it is the same on every platform and with every release
of every library.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pipeline.config.task import TaskConfig
from pipeline.data.tasks.doubts import refuse_doubles
from pipeline.data.tasks.labels import label_indices, regression_labels, row_label_names, task_label_names
from pipeline.data.tasks.readers import Source
from pipeline.data.tasks.recombine import recombined
from pipeline.data.tasks.rows import Rows
from pipeline.errors import DataError


@dataclass(frozen=True)
class Part:
    """Rows, their ids (rows,) int64, and their labels (rows,) int64 or float64, None when unlabelled."""

    rows: Rows
    ids: np.ndarray
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: np.ndarray) -> "Part":
        """Return the rows at ``indices``."""
        labels = None if self.labels is None else self.labels[indices]
        return Part(self.rows.take(indices.tolist()), self.ids[indices], labels)


@dataclass(frozen=True)
class Parts:
    """The parts of a task; ``dev`` by the name of the split."""

    train: Part
    dev: dict[str, Part]
    unlabelled: tuple[Part, ...]

    def by_split(self) -> dict[str, tuple[Part, ...]]:
        """Return split -> its parts, without splits that have no rows."""
        splits = {"train": (self.train,)} | {name: (part,) for name, part in self.dev.items()}
        unlabelled = tuple(part for part in self.unlabelled if len(part))
        return splits | ({"unlabelled": unlabelled} if unlabelled else {})


def readable_parts(source: Source) -> Parts:
    """Give every row an id; drop rows with an empty text from training and unlabelled text.

    Ids count through training, development and unlabelled rows in the order they are read, dropped ones included.

    Raises:
        DataError: a source has no rows, or none with a text.
    """
    start = 0

    def numbered(rows: Rows, *, drop_empty: bool) -> Part:
        nonlocal start
        if not len(rows):
            raise DataError(f"{rows.source} has no rows: name one that has")
        empty = rows.empty()
        if empty.all():
            raise DataError(f"{rows.source}: every text is empty ({len(rows)} rows): name another text column")
        part = Part(rows, np.arange(start, start + len(rows), dtype=np.int64))
        start += len(rows)
        return part.take(np.flatnonzero(~empty)) if drop_empty and empty.any() else part

    return Parts(
        train=numbered(source.train, drop_empty=True),
        dev={split: numbered(rows, drop_empty=False) for split, rows in source.dev.items()},
        unlabelled=tuple(numbered(rows, drop_empty=True) for rows in source.unlabelled),
    )


def label_parts(
    parts: Parts,
    kind: Literal["classification", "regression"],
    names: Mapping[str, str],
    label_range: tuple[float, float] | None,
) -> tuple[Parts, tuple[str, ...]]:
    """Return the parts with their labels, and the task's label names (none for regression).

    Raises:
        DataError: a label is missing or wrong; or all training labels are equal.
    """
    train = parts.train
    if kind == "regression":
        numbers = regression_labels(train.rows, label_range)
        if numbers.min() == numbers.max():
            raise DataError(f"{train.rows.source}: every row has label {numbers[0]:g}: there is nothing to learn")
        dev = {split: replace(p, labels=regression_labels(p.rows, label_range)) for split, p in parts.dev.items()}
        return Parts(replace(train, labels=numbers), dev, parts.unlabelled), ()
    row_names = row_label_names(train.rows, names)
    if not names:
        refuse_doubles(train.rows, row_names)
    label_names = task_label_names(row_names, names, train.rows.source)
    dev = {
        split: replace(part, labels=label_indices(part.rows, row_label_names(part.rows, names), label_names))
        for split, part in parts.dev.items()
    }
    train = replace(train, labels=label_indices(train.rows, row_names, label_names))
    return Parts(train, dev, parts.unlabelled), label_names


def draw_parts(parts: Parts, config: TaskConfig, seed: int, label_names: Sequence[str]) -> Parts:
    """Draw the configured numbers of rows; classes keep their shares in training and development rows.

    Training rows that are not drawn may serve as unlabelled text (``unlabelled_rows``).

    Raises:
        DataError: the configuration wants more rows than there are, or fewer training rows than labels.
    """
    train, rest = parts.train, parts.train.take(np.arange(0))
    if config.train_rows is not None:
        if config.train_rows < len(label_names):
            raise DataError(
                f"task.train_rows is {config.train_rows}, but the task has {len(label_names)} labels: "
                "ask for at least one row each"
            )
        chosen = _drawn(train, config.train_rows, seed, "train", stratify=bool(label_names))
        others = np.setdiff1d(np.arange(len(train)), chosen, assume_unique=True)
        train, rest = parts.train.take(chosen), parts.train.take(others)
    rest = _unlabelled(rest, config, seed)
    dev = parts.dev
    if config.dev_rows is not None:
        dev = {
            split: part.take(_drawn(part, config.dev_rows, seed, "dev", stratify=bool(label_names)))
            if split.startswith("dev")
            else part
            for split, part in dev.items()
        }
    return Parts(train, dev, (rest, *parts.unlabelled))


def spare_validation(parts: Parts, share: float, seed: int, label_names: Sequence[str]) -> Parts:
    """Take the rows that choose checkpoints out of the training rows, so that the development rows only judge.

    Args:
        parts: all rows; the splits ``dev...`` become ``test...``.
        share: of the training rows; classes keep their shares.
        seed: seed of the draw.
        label_names: of the task; none for a regression.

    Raises:
        DataError: nothing would be left on one side, or fewer rows than labels.
    """
    train, least = parts.train, max(1, len(label_names))
    count = round(share * len(train))
    if min(count, len(train) - count) < least:
        raise DataError(
            f"task.validation_share is {share:g} of {len(train)} training rows, which leaves {count} to choose by and "
            f"{len(train) - count} to learn from: at least {least} are needed on each side"
        )
    chosen = draw(len(train), count, seed, "validation", train.labels if label_names else None)
    others = np.setdiff1d(np.arange(len(train)), chosen, assume_unique=True)
    judging = {f"test{split.removeprefix('dev')}": part for split, part in parts.dev.items()}
    return Parts(train.take(others), {"dev": train.take(chosen)} | judging, parts.unlabelled)


def recombined_part(parts: Parts, share: float, seed: int) -> Part:
    """Make unlabelled pairs from the training rows' texts, numbered after every other row.

    Args:
        parts: all rows of the task.
        share: number of pairs a training row.
        seed: seed of the draws.

    Raises:
        DataError: the task's rows have one text.
    """
    texts, pairs = parts.train.rows.texts, parts.train.rows.pairs
    if pairs is None:
        raise DataError(
            f"task.recombined is {share:g}, but the rows of {parts.train.rows.source} have one text: set it to 0, or "
            "name a second text column (task.text_pair)"
        )
    chosen = recombined(texts, pairs, round(share * len(texts)), seed)
    rows = Rows(
        source="recombined pairs",
        texts=[texts[row] for row, _ in chosen],
        pairs=[pairs[other] for _, other in chosen],
        labels=None,
        numbers=range(1, len(chosen) + 1),
        by_line=False,
    )
    last = max(int(part.ids.max()) for part in (parts.train, *parts.dev.values(), *parts.unlabelled) if len(part))
    return Part(rows, np.arange(last + 1, last + 1 + len(chosen), dtype=np.int64))


def _drawn(part: Part, count: int, seed: int, purpose: str, *, stratify: bool) -> np.ndarray:
    if count > len(part):
        raise DataError(
            f"task.{purpose}_rows is {count}, but {part.rows.source} has {len(part)} usable rows: "
            "ask for fewer, or leave it empty"
        )
    return draw(len(part), count, seed, purpose, part.labels if stratify else None)


def _unlabelled(rest: Part, config: TaskConfig, seed: int) -> Part:
    """Draw the unlabelled rows from the training rows that were not drawn."""
    rest = replace(rest, labels=None)
    count = len(rest) if config.unlabelled_rows == "rest" else config.unlabelled_rows or 0
    if count > len(rest):
        raise DataError(
            f"task.unlabelled_rows is {count}, but {len(rest)} training rows are left (task.train_rows is "
            f"{config.train_rows or 'empty: all are drawn'}): ask for fewer, or set it to rest"
        )
    return rest.take(draw(len(rest), count, seed, "unlabelled"))


def hashed_order(rows: int, seed: int, purpose: str) -> np.ndarray:
    """Return a permutation of ``range(rows)``, (rows,), int64; the same on every platform."""
    keys = b"".join(hashlib.blake2b(f"{purpose}:{seed}:{row}".encode(), digest_size=8).digest() for row in range(rows))
    return np.argsort(np.frombuffer(keys, dtype="<u8"), kind="stable")


def draw(rows: int, count: int, seed: int, purpose: str, strata: np.ndarray | None = None) -> np.ndarray:
    """Draw ``count`` of ``rows`` rows; return their indices, ascending, (count,), int64.

    With ``strata`` (rows,) each stratum keeps its share to within a row or so, and none is left out if at least as many
    rows are drawn as there are strata: the k-th row of a stratum of n comes when k/n of all rows have been drawn.
    """
    order = hashed_order(rows, seed, purpose)
    if strata is not None:
        shares = np.empty(rows, dtype=np.float64)
        ranked = strata[order]
        for stratum in np.unique(strata):
            members = np.flatnonzero(ranked == stratum)
            shares[members] = np.arange(len(members)) / len(members)
        order = order[np.argsort(shares, kind="stable")]
    return np.sort(order[:count])
