"""The lines of a GloVe text file, one by one: their layout, and the first one with a fault."""

import math
from itertools import islice
from pathlib import Path

from pipeline.errors import DataError

CHECKED_LINES = 1_000


def check_first_lines(path: Path) -> None:
    """Check the first lines of a vectors file, which takes milliseconds whatever its size.

    Raises:
        DataError: missing or empty file, ragged rows, fields that are not finite numbers; names the line.
    """
    header, width, _ = read_layout(path)
    fault = find_fault(path, header, width, CHECKED_LINES)
    if fault is not None:
        raise fault


def read_layout(path: Path) -> tuple[bool, int, bool]:
    """Return whether there is a header line, how many numbers a line has, and whether lines end with a space.

    Raises:
        DataError: the file is missing, empty, no text, or has no numbers.
    """
    try:
        with path.open("rb") as file:
            lines = [_text(path, number, raw) for number, raw in enumerate(islice(file, 2), start=1)]
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}: name a GloVe text file in augmentation.vectors.path") from None
    header = bool(lines) and len(lines[0].split()) == 2 and all(field.isdigit() for field in lines[0].split())
    if len(lines) <= header:
        raise DataError(f"{path}: the file is empty: name a GloVe text file in augmentation.vectors.path")
    fields = lines[header].split(" ")
    trailing = fields[-1] == ""
    width = len(fields) - 1 - trailing
    if width < 1:
        raise DataError(f"{path}, line {1 + header}: {lines[header][:40]!r} has no numbers: give 'word v1 v2 ...'")
    return header, width, trailing


def _text(path: Path, number: int, raw: bytes) -> str:
    try:
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise DataError(f"{path}, line {number}: not UTF-8 text: convert the file to UTF-8") from None


def is_word_with_spaces(line: str, width: int) -> bool:
    """Return whether a line is a word that contains spaces, followed by its numbers."""
    fields = line.rstrip(" ").split(" ")
    name, numbers = fields[:-width], fields[-width:]
    return len(name) > 1 and not _is_number(name[-1]) and all(map(_is_number, numbers))


def _is_number(field: str) -> bool:
    try:
        return math.isfinite(float(field))
    except ValueError:
        return False


def find_fault(path: Path, header: bool, width: int, lines: int | None = None) -> DataError | None:
    """Return the error that names the first line with a fault; None without one.

    Args:
        path: the file.
        header: whether its first line is a header.
        width: number of numbers on a line.
        lines: number of lines to check; None checks all.

    Raises:
        DataError: a line is no UTF-8 text.
    """
    with path.open("rb") as file:
        for number, raw in enumerate(islice(file, lines), start=1):
            if number == 1 and header:
                continue
            line = _text(path, number, raw).removesuffix(" ")
            fields = line.split(" ")
            if len(fields) != width + 1 and not is_word_with_spaces(line, width):
                return DataError(
                    f"{path}, line {number}: {len(fields) - 1} numbers where the first line has {width}: "
                    "mend or remove the line"
                )
            bad = next((field for field in fields[-width:] if not _is_number(field)), None)
            if bad is not None:
                return DataError(f"{path}, line {number}: {bad[:40]!r} is not a finite number: mend or remove the line")
    return None
