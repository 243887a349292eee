"""A text file as numbered lines of UTF-8, and the first line of a table, which names its columns.

Any other file is refused with the line and byte where it differs.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.config.task import NUMBER
from pipeline.data.tasks.rows import require_columns
from pipeline.errors import DataError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
MAX_NAME_LENGTH, MAX_NAME_WORDS = 40, 3  # of a column's name; longer text is a row
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def require_content(path: Path) -> None:
    """Raise a DataError unless the file is there, readable, and not empty."""
    if not path.is_file():
        kind = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise DataError(f"{path} {kind}: correct the path")
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise DataError(f"{path} is empty (0 bytes): name a file with rows in it")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): correct its permissions") from error


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""Yield each line without its end, and its number, counted from 1.

    Lines end at ``\n`` or ``\r\n`` alone: the rarer separators of Unicode occur inside real sentences.
    A byte-order mark is dropped. The file is streamed.

    Raises:
        DataError: the file is missing, empty, binary (a NUL byte), UTF-16, not UTF-8, or of one line where
            carriage returns end them.
    """
    require_content(path)
    start, size = 0, path.stat().st_size
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if number == 1 and raw.startswith(_UTF16):
                raise DataError(f"{path} is UTF-16, not UTF-8: convert it, e.g. iconv -f UTF-16 -t UTF-8")
            if number == 1 and len(raw) == size and b"\r" in raw.rstrip(b"\r\n"):
                raise DataError(
                    f"{path} ends its lines with a carriage return alone (0x0d), so it is one line to everybody else: "
                    "convert it, e.g. tr '\\r' '\\n'"
                )
            nul = raw.find(b"\0")
            if nul >= 0:
                raise DataError(f"{path} is binary (a NUL byte on line {number}, byte {start + nul}): name a text file")
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                byte = raw[error.start]
                raise DataError(
                    f"{path} is not UTF-8 (0x{byte:02x} on line {number}, byte {start + error.start}): "
                    "convert it, e.g. iconv -f LATIN1 -t UTF-8"
                ) from error
            start += len(raw)
            yield number, line.removesuffix("\n").removesuffix("\r")


def separator(line: str, required: Sequence[str]) -> str:
    """Return the separator of a .csv file: the first that gives all required columns, else the comma."""
    return next((mark for mark in SEPARATORS if set(required) <= set(split_line(line, mark))), ",")


def require_header(line: str, mark: str, names: Sequence[str], required: Sequence[str], source: str) -> None:
    """Refuse a first line that lacks a column, with the likeliest reason.

    Args:
        line: the first line.
        mark: the separator that it was split at.
        names: the fields of the line.
        required: the columns that are read.
        source: the file.

    Raises:
        DataError: the line is a row, or has other separators, or other names.
    """
    if set(required) & set(names):
        require_columns(required, names, source)
        return
    for other, plural in SEPARATORS.items():
        if other != mark and set(required) <= set(split_line(line, other)):
            ending = ".tsv" if other == "\t" else ".csv"
            raise DataError(f"{source} separates its columns with {plural}, not {SEPARATORS[mark]}: name it {ending}")
    for other in (mark, *SEPARATORS):
        fields = split_line(line, other)
        if len(fields) >= len(required) and any(map(_is_content, fields)):
            header = other.join(_guess(fields, required))
            raise DataError(
                f"{source} has no header: its first line, {line!r:.60}, seems to be a row of {len(fields)} columns: "
                f"put one with their names above it, such as {header!r}"
            )
    require_columns(required, names, source)


def split_line(line: str, mark: str) -> list[str]:
    """Return the fields of a line: split at tabs without quoting, at other separators with it."""
    if mark == "\t":
        return line.split(mark)
    try:
        return next(csv.reader([line], delimiter=mark), [])
    except csv.Error:
        return []


def _is_content(field: str) -> bool:
    """Return whether a field cannot be the name of a column: it is a number, or as long as a sentence."""
    too_long = len(field) > MAX_NAME_LENGTH or len(field.split()) > MAX_NAME_WORDS
    return too_long or re.fullmatch(NUMBER, field.strip()) is not None


def _guess(fields: Sequence[str], required: Sequence[str]) -> list[str]:
    """Return likely names of the fields: the longest are the texts, the shortest is the label."""
    names = [f"column{number}" for number in range(1, len(fields) + 1)]
    by_length = sorted(range(len(fields)), key=lambda place: -len(fields[place]))
    texts = required[:-1] if len(required) > 1 else required
    for place, name in zip(sorted(by_length[: len(texts)]), texts, strict=True):
        names[place] = name
    if len(required) > 1:
        names[by_length[-1]] = required[-1]
    return names
