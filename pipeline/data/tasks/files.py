"""A table file (TSV, CSV, JSON lines, Parquet, plain text) read into rows; the ending says which it is.

Tab-separated files are read without quoting, as GLUE's are: a quotation mark is a character. Comma-separated
files quote as RFC 4180 does. No value is guessed at: a label stays what the file says.
"""

import csv
import json
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data.tasks.header import SEPARATORS, require_header, separator
from pipeline.data.tasks.lines import numbered_lines, require_content
from pipeline.data.tasks.rows import Columns, Rows, require_columns, rows_from_columns
from pipeline.errors import DataError

Values = list[list[object]]


def read_tsv(path: Path, columns: Columns, *, header: tuple[str, ...] | None = None, skip_ragged: bool = False) -> Rows:
    """Rows of a tab-separated file without quoting; ``header`` names the columns when the file does not.

    Args:
        path: the file.
        columns: the columns that are read.
        header: the file's columns, when its first line is a row already.
        skip_ragged: leave out rows with another number of fields, and count them.

    Raises:
        DataError: a row has more or fewer fields than there are columns, or a column is not there.
    """
    lines = numbered_lines(path)
    if header is None:
        first = next(lines)[1]
        names = first.split("\t")
        require_header(first, "\t", names, columns.names(), str(path))
    else:
        names = list(header)
    require_columns(columns.names(), names, str(path))
    wanted = [names.index(name) for name in columns.names()]
    values: Values = [[] for _ in wanted]
    numbers: list[int] = []
    ragged = 0
    for number, line in lines:
        fields = line.split("\t")
        if len(fields) != len(names):
            if not line:
                continue
            if not skip_ragged:
                raise DataError(
                    f"{path}:{number} has {len(fields)} fields, not {len(names)}: take stray tabs and line "
                    "breaks out of the texts, or save the file as CSV"
                )
            ragged += 1
            continue
        numbers.append(number)
        for column, index in zip(values, wanted, strict=True):
            column.append(fields[index])
    return rows_from_columns(values, columns, source=str(path), numbers=numbers, by_line=True, ragged=ragged)


def read_csv(path: Path, columns: Columns) -> Rows:
    """Rows of a comma-separated file with a header, quoted as RFC 4180 has it.

    Where the header shows that semicolons or tabs stand for the commas the file is read so, with a remark.

    Raises:
        DataError: a ragged row, a quote that never ends, or a column that is not there.
    """
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # the default refuses texts above 128 kB
    lines = numbered_lines(path)
    first = next(lines)
    mark = separator(first[1], columns.names())
    reader = csv.reader((line + "\n" for _, line in chain([first], lines)), strict=True, delimiter=mark)
    names: list[str] = []
    values: Values = []
    wanted: list[int] = []
    numbers: list[int] = []
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
                wanted = [names.index(name) for name in columns.names()]
                values = [[] for _ in wanted]
                continue
            if len(fields) != len(names):
                raise DataError(
                    f"{path}:{number} has {len(fields)} fields, not {len(names)}: quote texts with {SEPARATORS[mark]}"
                )
            numbers.append(number)
            for column, index in zip(values, wanted, strict=True):
                column.append(fields[index])
    except csv.Error as error:
        raise DataError(f"{path}:{start} is not CSV ({error}): close its quotes and double those inside") from error
    remark = "" if mark == "," else f"{path} separates its columns with {SEPARATORS[mark]} and was read so: use commas"
    return rows_from_columns(values, columns, source=str(path), numbers=numbers, by_line=True, remark=remark)


def read_jsonl(path: Path, columns: Columns) -> Rows:
    """Rows of a file with one JSON object a line.

    Raises:
        DataError: a line is no JSON object, or lacks a column.
    """
    values: Values = [[] for _ in columns.names()]
    numbers: list[int] = []
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
        numbers.append(number)
        for column, name in zip(values, columns.names(), strict=True):
            column.append(row[name])
    return rows_from_columns(values, columns, source=str(path), numbers=numbers, by_line=True)


def read_parquet(path: Path, columns: Columns) -> Rows:
    """Rows of a Parquet file.

    Raises:
        DataError: the file is no Parquet file, or a column is not there.
    """
    require_content(path)
    try:
        with pq.ParquetFile(path) as file:  # of one file, whatever folders like a=b it lies in
            require_columns(columns.names(), file.schema_arrow.names, str(path))
            table = file.read(columns=columns.names())
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} is not a Parquet file ({error!s:.60}): write it again") from error
    values = [table.column(name).to_pylist() for name in columns.names()]
    numbers = range(1, table.num_rows + 1)
    return rows_from_columns(values, columns, source=str(path), numbers=numbers, by_line=False)


def read_txt(path: Path, columns: Columns) -> Rows:
    """Unlabelled rows of a plain text file: one text a line, blank lines skipped.

    Raises:
        DataError: the task needs pairs or labels, which a line of text cannot give.
    """
    if len(columns.names()) > 1:
        raise DataError(
            f"{path} has one text a line, but columns {', '.join(map(repr, columns.names()))} are needed: "
            "give CSV, TSV, JSONL or Parquet"
        )
    found = [(number, line) for number, line in numbered_lines(path) if line.strip()]
    return rows_from_columns(
        [[line for _, line in found]],
        columns,
        source=str(path),
        numbers=[number for number, _ in found],
        by_line=True,
    )


_READERS: dict[str, Callable[[Path, Columns], Rows]] = {
    ".tsv": read_tsv,
    ".csv": read_csv,
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
    ".txt": read_txt,
}


def read_rows(path: Path, columns: Columns) -> Rows:
    """Rows of a file, read as its ending says.

    Raises:
        DataError: the ending is none that is known; or whatever the reader of that ending finds.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path} ends in {path.suffix!r}, none of {', '.join(_READERS)}: convert or rename it")
    return reader(path, columns)


def require_file_columns(path: Path, columns: Columns) -> None:
    """Look for the wanted columns where a file begins; ``read_rows`` looks at every row.

    Raises:
        DataError: a column is not there, the ending is none that is known, or the file is none of its kind.
    """
    ending = path.suffix.lower()
    if ending == ".parquet":
        require_content(path)
        try:
            names = pq.read_schema(path).names
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{path} is not a Parquet file ({error!s:.60}): write it again") from error
    elif ending in (".tsv", ".csv"):
        first = next(numbered_lines(path))[1]
        names = first.split("\t") if ending == ".tsv" else next(csv.reader([first]), [])
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
