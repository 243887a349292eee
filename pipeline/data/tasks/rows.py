"""Rows as they were read: texts, labels as the source spells them, and the position of each row in its file.

Readers make them; labels are not interpreted here. ``place`` names a row's file and line, so that any later error
about a row can name them.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.errors import DataError

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a pair of UTF-16, as JSON can escape it; no file in UTF-8 can hold it."""


@dataclass(frozen=True)
class Rows:
    """Rows of one source; ``labels`` is None if they have none, ``pairs`` is None without a second text.

    A missing text is the empty string; a missing label is None.
    """

    source: str
    texts: Sequence[str]
    pairs: Sequence[str] | None
    labels: Sequence[object] | None
    numbers: Sequence[int]
    by_line: bool
    ragged: int = 0
    remark: str = ""
    """What the reader had to guess, in one sentence; usually empty."""

    def __len__(self) -> int:
        return len(self.texts)

    def place(self, index: int) -> str:
        """Return the position of a row for messages: ``train.tsv:17`` or ``train.parquet row 17``, from 1."""
        return f"{self.source}{':' if self.by_line else ' row '}{self.numbers[index]}"

    def take(self, indices: Sequence[int]) -> "Rows":
        """Return the rows at ``indices``; each keeps its position in its file."""
        return replace(
            self,
            texts=[self.texts[index] for index in indices],
            pairs=None if self.pairs is None else [self.pairs[index] for index in indices],
            labels=None if self.labels is None else [self.labels[index] for index in indices],
            numbers=[self.numbers[index] for index in indices],
        )

    def empty(self) -> np.ndarray:
        """Return which rows are empty, (rows,): True if the text, or either text of a pair, is blank."""
        blank = np.array([not text.strip() for text in self.texts], dtype=bool)
        if self.pairs is not None:
            blank |= np.array([not text.strip() for text in self.pairs], dtype=bool)
        return blank


@dataclass(frozen=True)
class Columns:
    """The names of the columns to read; ``label`` is None if only texts are read."""

    text: str
    text_pair: str | None
    label: str | None

    def names(self) -> list[str]:
        """Return the columns to read: the text, then the second text and the label if there are any."""
        return [name for name in (self.text, self.text_pair, self.label) if name is not None]


def require_columns(required: Sequence[str], columns: Sequence[str], source: str) -> None:
    """Raise a DataError unless every required column exists exactly once."""
    for name in required:
        if name not in columns:
            folded = {other.casefold(): other for other in columns}
            near = difflib.get_close_matches(name.casefold(), folded, n=1)
            hint = f"did you mean {folded[near[0]]!r}?" if near else "name the columns under task"
            if f'"{name}"' in columns:
                hint = "its fields are quoted, and .tsv is read without quoting: save it as .csv"
            raise DataError(f"{source} has no column {name!r}, only {', '.join(map(repr, columns))}: {hint}")
        if list(columns).count(name) > 1:
            raise DataError(f"{source} has {list(columns).count(name)} columns named {name!r}: rename one of them")


def rows_from_columns(
    values: Sequence[Sequence[object]], columns: Columns, *, source: str, numbers: Sequence[int], by_line: bool
) -> Rows:
    """Build rows from one sequence of values for each of ``columns.names()``; a text must be a string or null.

    Raises:
        DataError: a text is a number, a list or anything else.
    """
    by_name = dict(zip(columns.names(), values, strict=True))
    labels = by_name[columns.label] if columns.label is not None else None
    rows = Rows(source, [], None, labels, numbers, by_line)
    texts = _texts(by_name[columns.text], columns.text, rows)
    pairs = _texts(by_name[columns.text_pair], columns.text_pair, rows) if columns.text_pair else None
    return replace(rows, texts=texts, pairs=pairs)


def _texts(values: Sequence[object], column: str, rows: Rows) -> list[str]:
    texts: list[str] = []
    for index, value in enumerate(values):
        if value is not None and not isinstance(value, str):
            raise DataError(
                f"{rows.place(index)}: column {column!r} holds {value!r:.40}, not text: name the text column"
            )
        if value and not value.isascii() and (lone := LONE_SURROGATE.search(value)):
            around = value[max(0, lone.start() - 10) : lone.end() + 10]
            raise DataError(
                f"{rows.place(index)}: column {column!r} holds half a character, {lone.group()!a}, in {around!a}: "
                "write the other half too, or leave it out"
            )
        texts.append(value or "")
    return texts
