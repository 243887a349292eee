"""Read a table file (TSV, CSV, JSON lines, Parquet, plain text) into rows; its ending says which it is.

Tab-separated files are read without quoting, as GLUE's are: a quotation mark is a character. Comma-separated files are
quoted as in RFC 4180. No value is converted: a label stays as the file spells it.
"""

import csv
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data.tasks.lines import SEPARATORS, numbered_lines, require_content, require_header, separator, split_line
from pipeline.data.tasks.rows import Columns, Rows, require_columns, rows_from_columns
from pipeline.errors import DataError


class _Collector:
    """Collects the values of a text file by column.

    Args:
        path: the file.
        columns: the columns that are read.
    """

    def __init__(self, path: Path, columns: Columns) -> None:
        self._source, self._columns = str(path), columns
        self._values: list[list[object]] = [[] for _ in columns.names()]
        self._numbers: list[int] = []

    def add(self, number: int, values: Iterable[object]) -> None:
        """Add the values of the row that starts at line ``number``, one for each column."""
        self._numbers.append(number)
        for column, value in zip(self._values, values, strict=True):
            column.append(value)

    def rows(self, ragged: int = 0, remark: str = "") -> Rows:
        """Return the rows, with the number of ragged rows that were left out and the reader's remark."""
        rows = rows_from_columns(self._values, self._columns, source=self._source, numbers=self._numbers, by_line=True)
        return replace(rows, ragged=ragged, remark=remark)


def read_tsv(path: Path, columns: Columns, *, header: tuple[str, ...] | None = None, skip_ragged: bool = False) -> Rows:
    """Read a tab-separated file without quoting.

    Args:
        path: the file.
        columns: the columns that are read.
        header: the file's columns, if its first line is a row already.
        skip_ragged: leave out rows with another number of fields, and count them.

    Raises:
        DataError: a row has more or fewer fields than there are columns, or a column does not exist.
    """
    lines = numbered_lines(path)
    if header is None:
        first = next(lines)[1]
        names = first.split("\t")
        require_header(first, "\t", names, columns.names(), str(path))
    else:
        names = list(header)
    require_columns(columns.names(), names, str(path))
    places = [names.index(name) for name in columns.names()]
    collected, ragged = _Collector(path, columns), 0
    for number, line in lines:
        fields = line.split("\t")
        if len(fields) == len(names):
            collected.add(number, [fields[place] for place in places])
        elif line and not skip_ragged:
            raise DataError(
                f"{path}:{number} has {len(fields)} fields, not {len(names)}: take stray tabs and line "
                "breaks out of the texts, or save the file as CSV"
            )
        elif line:
            ragged += 1
    return collected.rows(ragged)


def read_csv(path: Path, columns: Columns) -> Rows:
    """Read a comma-separated file with a header, quoted as in RFC 4180.

    If the header shows that semicolons or tabs separate the columns, they do, and the rows have a remark.

    Raises:
        DataError: a ragged row, a quote that never ends, or a column that does not exist.
    """
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # the default refuses texts above 128 kB
    lines = numbered_lines(path)
    first = next(lines)
    mark = separator(first[1], columns.names())
    reader = csv.reader((line + "\n" for _, line in chain([first], lines)), strict=True, delimiter=mark)
    collected = _Collector(path, columns)
    names: list[str] = []
    places: list[int] = []
    start = 1
    try:
        for fields in reader:
            number, start = start, reader.line_num + 1
            if not fields:
                continue
            if not names:
                names = fields
                require_header(first[1], mark, names, columns.names(), str(path))
                require_columns(columns.names(), names, str(path))
                places = [names.index(name) for name in columns.names()]
                continue
            if len(fields) != len(names):
                raise DataError(
                    f"{path}:{number} has {len(fields)} fields, not {len(names)}: quote texts with {SEPARATORS[mark]}"
                )
            collected.add(number, [fields[place] for place in places])
    except csv.Error as error:
        raise DataError(f"{path}:{start} is not CSV ({error}): close its quotes and double those inside") from error
    remark = "" if mark == "," else f"{path} separates its columns with {SEPARATORS[mark]} and was read so: use commas"
    return collected.rows(remark=remark)


def read_jsonl(path: Path, columns: Columns) -> Rows:
    """Read a file with one JSON object a line.

    Raises:
        DataError: a line is no JSON object, or lacks a column.
    """
    collected = _Collector(path, columns)
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}:{number} is not JSON ({error}): write one object a line") from error
        except RecursionError as error:
            raise DataError(f"{path}:{number} is nested too deeply: write one plain object a line") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number} is {line!r:.40}, no JSON object: write one object a line")
        require_columns(columns.names(), list(row), f"{path}:{number}")
        collected.add(number, [row[name] for name in columns.names()])
    return collected.rows()


def read_parquet(path: Path, columns: Columns) -> Rows:
    """Read a Parquet file.

    Raises:
        DataError: the file is no Parquet file, or a column does not exist.
    """
    require_content(path)
    try:
        with pq.ParquetFile(path) as file:  # reads one file, whatever folders like a=b it lies in
            require_columns(columns.names(), file.schema_arrow.names, str(path))
            table = file.read(columns=columns.names())
    except (pa.ArrowInvalid, OSError) as error:
        raise _not_parquet(path, error) from error
    values = [table.column(name).to_pylist() for name in columns.names()]
    numbers = range(1, table.num_rows + 1)
    return rows_from_columns(values, columns, source=str(path), numbers=numbers, by_line=False)


def read_txt(path: Path, columns: Columns) -> Rows:
    """Read the unlabelled rows of a plain text file: one text a line, blank lines skipped.

    Raises:
        DataError: the task needs pairs or labels, which a line of text does not have.
    """
    if len(columns.names()) > 1:
        raise DataError(
            f"{path} has one text a line, but columns {', '.join(map(repr, columns.names()))} are needed: "
            "give CSV, TSV, JSONL or Parquet"
        )
    collected = _Collector(path, columns)
    for number, line in numbered_lines(path):
        if line.strip():
            collected.add(number, [line])
    return collected.rows()


_READERS: dict[str, Callable[[Path, Columns], Rows]] = {
    ".tsv": read_tsv,
    ".csv": read_csv,
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
    ".txt": read_txt,
}


def read_rows(path: Path, columns: Columns) -> Rows:
    """Read a file in the format of its ending.

    Raises:
        DataError: the ending is unknown, or the file has an error that its reader names.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path} ends in {path.suffix!r}, none of {', '.join(_READERS)}: convert or rename it")
    return reader(path, columns)


def require_file_columns(path: Path, columns: Columns) -> None:
    """Check the columns at the start of a file; ``read_rows`` checks every row.

    Raises:
        DataError: a column does not exist, or the file is not in the format of its ending.
    """
    ending = path.suffix.lower()
    if ending == ".parquet":
        require_content(path)
        try:
            names = pq.read_schema(path).names
        except (pa.ArrowInvalid, OSError) as error:
            raise _not_parquet(path, error) from error
    elif ending in (".tsv", ".csv"):
        names = split_line(next(numbered_lines(path))[1], "\t" if ending == ".tsv" else ",")
    elif ending == ".jsonl":
        first = next((line for _, line in numbered_lines(path) if line.strip()), "{}")
        try:
            names = list(json.loads(first))
        except (ValueError, TypeError) as error:
            raise DataError(f"{path}:1 is not JSON ({error}): write one object a line") from error
    else:
        require_content(path)
        return
    require_columns(columns.names(), names, str(path))


def _not_parquet(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} is not a Parquet file ({error!s:.60}): write it again")
