"""Rows to be answered, read one after the other from a file or a pipe: JSON lines, CSV, TSV, or plain text.

Nothing is held but the row that is being read, so a file of any size passes.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Any, BinaryIO, Literal, cast, get_args

from pipeline.errors import DataError
from pipeline.export.scorer import Row

Format = Literal["jsonl", "csv", "tsv", "text"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".txt": "text"}
TEXT, PAIR = "text", "text_pair"
LONGEST_FIELD = 100_000_000  # characters of a CSV field


def format_of(name: str, wanted: str | None) -> Format:
    """The format of a file, by what is wanted or else by its suffix; ``-``, a pipe, is plain text.

    Raises:
        DataError: neither says so.
    """
    if wanted is not None:
        if wanted not in FORMATS:
            raise DataError(f"--format {wanted!r} is unknown: choose {', '.join(FORMATS)}")
        return wanted
    if name == "-":
        return "text"
    suffix = PurePath(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"the suffix of {name} does not say how it is read: give --format {', '.join(FORMATS)}")
    return SUFFIXES[suffix]


def read_rows(
    file: BinaryIO,
    form: Format,
    *,
    name: str,
    pair: bool,
    text_column: str = TEXT,
    pair_column: str = PAIR,
    passed: Callable[[int], None] = lambda _bytes: None,
) -> Iterator[Row]:
    """The rows of a file, in their order.

    Args:
        file: open for reading bytes.
        form: how it is read. Plain text is a row a line; for a pair a tab stands between its two texts.
        name: of the file, for messages.
        pair: whether a row is two texts.
        text_column: key or column of the text.
        pair_column: key or column of the second text.
        passed: is told the bytes of each line that was read.

    Raises:
        DataError: a row cannot be read; says which, and what is wrong with it.
    """
    wanted = (text_column, pair_column) if pair else (text_column,)
    lines = _decoded(file, name, passed)
    if form == "text":
        found = _plain(lines, name, pair=pair)
    elif form == "jsonl":
        found = _json_lines(lines, name, wanted)
    else:
        found = _table(lines, name, wanted, tabs=form == "tsv")
    for texts in found:
        yield Row(*texts)


def refuse_half_characters(texts: Sequence[str], where: str) -> None:
    r"""Refuse text with half a surrogate pair (``"\ud800"`` in JSON), which no tokenizer can read.

    Raises:
        DataError: there is one.
    """
    try:
        for text in texts:
            text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"{where} holds half a character ({error.object[error.start]!r}): write it as UTF-8") from error


def _decoded(file: BinaryIO, name: str, passed: Callable[[int], None]) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        passed(len(line))
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"line {number} of {name} is not UTF-8 (byte {line[error.start]:#04x} at {error.start}): "
                f"convert it, e.g. iconv -f LATIN1 -t UTF-8"
            ) from error


def _plain(lines: Iterable[str], name: str, *, pair: bool) -> Iterator[Sequence[str]]:
    for number, line in enumerate(lines, start=1):
        text = line.rstrip("\r\n")
        if not pair:
            yield (text,)
            continue
        texts = text.split("\t")
        if len(texts) != 2:
            raise DataError(
                f"line {number} of {name} has {len(texts)} texts, the model reads pairs: put one tab between two texts"
            )
        yield texts


def _json_lines(lines: Iterable[str], name: str, wanted: Sequence[str]) -> Iterator[Sequence[str]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"line {number} of {name}"
        try:
            value: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where} is not JSON ({error}): write one JSON object a line") from error
        if isinstance(value, str) and len(wanted) == 1:
            value = {wanted[0]: value}
        if not isinstance(value, dict):
            example = json.dumps(dict.fromkeys(wanted, "..."))
            raise DataError(f"{where} is no JSON object: write {example}")
        texts = [_text(value, key, where) for key in wanted]
        refuse_half_characters(texts, where)
        yield texts


def _text(value: dict[str, Any], key: str, where: str) -> str:
    if key not in value:
        raise DataError(
            f"{where} has no key {key!r}: it has {', '.join(value) or 'none'}; name one with {_option(key)}"
        )
    if not isinstance(value[key], str):
        raise DataError(f"{where} has {json.dumps(value[key])[:40]} under {key!r}: write a text in quotes")
    return cast("str", value[key])


def _option(key: str) -> str:
    return "--pair" if key == PAIR else "--text"


def _table(lines: Iterator[str], name: str, wanted: Sequence[str], *, tabs: bool) -> Iterator[Sequence[str]]:
    if tabs:
        rows: Iterator[list[str]] = (line.rstrip("\r\n").split("\t") for line in lines)
    else:
        csv.field_size_limit(LONGEST_FIELD)
        rows = csv.reader(lines, strict=True)
    number = 1
    try:
        header = next(rows, None)
        if header is None:
            return
        places = [_place(header, column, name) for column in wanted]
        for number, row in enumerate(rows, start=2):
            if not row or row == [""]:
                continue
            if len(row) != len(header):
                raise DataError(
                    f"row {number} of {name} has {len(row)} columns, its header {len(header)}: mend the row"
                )
            yield [row[place] for place in places]
    except csv.Error as error:
        raise DataError(f"row {number + 1} of {name} is not CSV ({error}): mend the row, or give --format") from error


def _place(header: Sequence[str], column: str, name: str) -> int:
    if column not in header:
        raise DataError(
            f"{name} has no column {column!r}: it has {', '.join(header)[:200]}; name one with {_option(column)}"
        )
    return header.index(column)
