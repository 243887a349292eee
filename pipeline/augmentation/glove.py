"""A GloVe text file: a word and its numbers a line, separated by single spaces.

The file is read fast, in blocks, by a CSV reader; only when something in it is wrong is it read again,
line by line, to say where.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from pipeline.augmentation.vectors import WordVectors
from pipeline.errors import DataError

WORD = "word"


def load_glove(path: str | Path, max_words: int | None = None) -> WordVectors:
    """Load word vectors from a text file: GloVe, or word2vec and fastText with their header line.

    Only words of letters are kept, each once: others are neither asked nor proposed. Lines whose word
    holds spaces, as a few of GloVe's Common Crawl files do, are skipped.

    Args:
        path: UTF-8 text.
        max_words: Read only so many lines from the top, the most frequent words in the usual files.

    Raises:
        DataError: missing or empty file, ragged rows, fields that are not finite numbers; names the line.
    """
    path = Path(path)
    header, width, trailing = _layout(path)
    words: list[str] = []
    blocks: list[NDArray[np.float32]] = []
    num_read = 0
    try:
        for whole in _batches(path, header, width, trailing):
            batch = whole.slice(0, None if max_words is None else max_words - num_read)
            num_read += batch.num_rows
            block = np.stack([column.to_numpy() for column in batch.columns[1:]], axis=1)
            if not np.isfinite(block).all():
                raise _fault(path, header, width)
            spelled = batch.column(0).to_pylist()
            kept = [i for i, word in enumerate(spelled) if word.isalpha()]
            words += [spelled[i] for i in kept]
            blocks.append(block[kept])
            if max_words is not None and num_read >= max_words:
                break
    except (pa.ArrowInvalid, UnicodeDecodeError):
        raise _fault(path, header, width) from None
    if not words:
        raise DataError(f"{path}: none of its {num_read} words is made of letters: give a GloVe text file")
    first: dict[str, int] = {}
    for number, word in enumerate(words):
        first.setdefault(word, number)
    return WordVectors(list(first), np.concatenate(blocks)[list(first.values())])


def _layout(path: Path) -> tuple[bool, int, bool]:
    """Whether there is a header line, how many numbers a line has, whether lines end with a space."""
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


def _batches(path: Path, header: bool, width: int, trailing: bool) -> Iterator[pa.RecordBatch]:
    numbers = [f"v{i}" for i in range(width)]
    names = [WORD, *numbers, *(["trailing"] if trailing else [])]
    reader = csv.open_csv(
        path,
        read_options=csv.ReadOptions(column_names=names, skip_rows=int(header), block_size=1 << 24),
        parse_options=csv.ParseOptions(
            delimiter=" ",
            quote_char=False,
            ignore_empty_lines=False,
            invalid_row_handler=lambda row: "skip" if _word_with_spaces(row.text, width) else "error",
        ),
        convert_options=csv.ConvertOptions(
            column_types={WORD: pa.string(), **dict.fromkeys(numbers, pa.float32())},
            include_columns=[WORD, *numbers],
            null_values=[],
        ),
    )
    yield from reader


def _word_with_spaces(line: str, width: int) -> bool:
    fields = line.rstrip(" ").split(" ")
    name, numbers = fields[:-width], fields[-width:]
    return len(name) > 1 and not _is_number(name[-1]) and all(map(_is_number, numbers))


def _is_number(field: str) -> bool:
    try:
        return bool(np.isfinite(float(field)))
    except ValueError:
        return False


def _fault(path: Path, header: bool, width: int) -> DataError:
    """The error that names the first line that cannot be used; raised itself if that is no text."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if number == 1 and header:
                continue
            line = _text(path, number, raw).removesuffix(" ")
            fields = line.split(" ")
            if len(fields) != width + 1 and not _word_with_spaces(line, width):
                return DataError(
                    f"{path}, line {number}: {len(fields) - 1} numbers where the first line has {width}: "
                    "mend or remove the line"
                )
            bad = next((field for field in fields[-width:] if not _is_number(field)), None)
            if bad is not None:
                return DataError(f"{path}, line {number}: {bad[:40]!r} is not a finite number: mend or remove the line")
    return DataError(f"{path}: not a table of words and {width} numbers a line: give a GloVe text file")
