"""A GloVe text file: a word and its numbers a line, separated by single spaces.

The file is read fast, in blocks, by a CSV reader; only when something in it is wrong is it read again,
line by line, to say where.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from pipeline.augmentation.candidates.glove_lines import find_fault, is_word_with_spaces, read_layout
from pipeline.augmentation.candidates.vectors import WordVectors
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
    header, width, trailing = read_layout(path)
    words: list[str] = []
    blocks: list[NDArray[np.float32]] = []
    num_read = 0
    try:
        for whole in _batches(path, header, width, trailing):
            batch = whole.slice(0, None if max_words is None else max_words - num_read)
            num_read += batch.num_rows
            block = np.stack([column.to_numpy() for column in batch.columns[1:]], axis=1)
            if not np.isfinite(block).all():
                raise find_fault(path, header, width) or _no_table(path, width)
            spelled = batch.column(0).to_pylist()
            kept = [i for i, word in enumerate(spelled) if word.isalpha()]
            words += [spelled[i] for i in kept]
            blocks.append(block[kept])
            if max_words is not None and num_read >= max_words:
                break
    except (pa.ArrowInvalid, UnicodeDecodeError):
        raise find_fault(path, header, width) or _no_table(path, width) from None
    if not words:
        raise DataError(f"{path}: none of its {num_read} words is made of letters: give a GloVe text file")
    first: dict[str, int] = {}
    for number, word in enumerate(words):
        first.setdefault(word, number)
    return WordVectors(list(first), np.concatenate(blocks)[list(first.values())])


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
            invalid_row_handler=lambda row: "skip" if is_word_with_spaces(row.text, width) else "error",
        ),
        convert_options=csv.ConvertOptions(
            column_types={WORD: pa.string(), **dict.fromkeys(numbers, pa.float32())},
            include_columns=[WORD, *numbers],
            null_values=[],
        ),
    )
    yield from reader


def _no_table(path: Path, width: int) -> DataError:
    return DataError(f"{path}: not a table of words and {width} numbers a line: give a GloVe text file")
