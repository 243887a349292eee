"""The first line of a table of text: which columns it names, and what is guessed where it does not name them."""

import csv
import re
from collections.abc import Sequence

from pipeline.config.task import NUMBER
from pipeline.data.tasks.rows import require_columns
from pipeline.errors import DataError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
LONG, WORDS = 40, 3


def separator(line: str, wanted: Sequence[str]) -> str:
    """What separates the columns of a file whose name ends in .csv: commas, unless another gives all that is wanted."""
    return next((mark for mark in SEPARATORS if set(wanted) <= set(_split(line, mark))), ",")


def require_header(line: str, mark: str, names: Sequence[str], wanted: Sequence[str], source: str) -> None:
    """Refuse a first line that lacks a column, with the likeliest reason.

    Args:
        line: the first line.
        mark: what it was cut at.
        names: what that gave.
        wanted: the columns that are read.
        source: the file.

    Raises:
        DataError: a column is not there: it is a row, or has other separators, or other names.
    """
    if set(wanted) & set(names):
        require_columns(wanted, names, source)
        return
    for other, said in SEPARATORS.items():
        if other != mark and set(wanted) <= set(_split(line, other)):
            ending = ".tsv" if other == "\t" else ".csv"
            raise DataError(f"{source} separates its columns with {said}, not {SEPARATORS[mark]}: name it {ending}")
    for other in (mark, *SEPARATORS):
        fields = _split(line, other)
        if len(fields) >= len(wanted) and any(map(_is_content, fields)):
            header = other.join(_guess(fields, wanted))
            raise DataError(
                f"{source} has no header: its first line, {line!r:.60}, seems to be a row of {len(fields)} columns: "
                f"put one with their names above it, such as {header!r}"
            )
    require_columns(wanted, names, source)


def _split(line: str, mark: str) -> list[str]:
    if mark == "\t":
        return line.split(mark)
    try:
        return next(csv.reader([line], delimiter=mark), [])
    except csv.Error:
        return []


def _is_content(field: str) -> bool:
    """Whether a field is no name of a column: a number, or as long as a sentence."""
    return len(field) > LONG or len(field.split()) > WORDS or re.fullmatch(NUMBER, field.strip()) is not None


def _guess(fields: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Names for the fields: the long ones are the texts, in their order, and the shortest of the others the label."""
    names = [f"column{number}" for number in range(1, len(fields) + 1)]
    by_length = sorted(range(len(fields)), key=lambda place: -len(fields[place]))
    texts = wanted[:-1] if len(wanted) > 1 else wanted
    for place, name in zip(sorted(by_length[: len(texts)]), texts, strict=True):
        names[place] = name
    if len(wanted) > 1:
        names[by_length[-1]] = wanted[-1]
    return names
