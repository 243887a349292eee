"""A GloVe text file has a word and its numbers on each line, separated by single spaces.

A CSV reader reads the file in blocks, which is fast; a file with a fault is read again line by line, to say where it
is. The vectors are cached, so that the next time they are only mapped.
"""

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from pipeline.augmentation.candidates.glove_lines import find_fault, is_word_with_spaces, read_layout
from pipeline.augmentation.candidates.vectors import WordVectors
from pipeline.errors import DataError
from pipeline.store.fingerprint import digest_bytes

WORD = "word"
FORMAT = 1  # of the cache; raise it when the same file would give other vectors
WORDS, MATRIX = "words.json", "matrix.npy"
RACY_NS = 2_000_000_000  # a file that changed so lately may change again within the same tick of its clock


def load_glove(path: str | Path, max_words: int | None = None) -> WordVectors:
    """Load word vectors from a text file: GloVe, or word2vec and fastText with their header line.

    Only words of letters are kept, each once. Lines whose word contains spaces, as in some of GloVe's Common Crawl
    files, are skipped.

    Args:
        path: file of UTF-8 text.
        max_words: number of lines to read, the most frequent words in the usual files; None reads all.

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


def cached_vectors(path: Path, max_words: int | None, folder: Path) -> WordVectors:
    """Read word vectors as ``load_glove`` does, or map them from ``folder`` if they were read before.

    They are kept by the path, size, inode and times of their file, and may be deleted at any time.

    Args:
        path: the text file.
        max_words: read only the first so many lines; None reads all.
        folder: folder of the cache.

    Raises:
        DataError: as ``load_glove``.
    """
    entry = _entry(path, max_words, folder)
    if entry is None:
        return load_glove(path, max_words)
    vectors = _open(entry)
    if vectors is None:
        vectors = load_glove(path, max_words)
        _keep(vectors, entry)
    return vectors


def _entry(path: Path, max_words: int | None, folder: Path) -> Path | None:
    """Return where the vectors of a file are kept; None if it does not exist or changed only just now."""
    try:
        stat = path.stat()
    except OSError:
        return None
    if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) <= RACY_NS:
        return None
    identity = [FORMAT, str(path.absolute()), stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, max_words]
    return folder / digest_bytes(json.dumps(identity).encode())[:32]


def _open(entry: Path) -> WordVectors | None:
    try:
        kept = json.loads((entry / WORDS).read_bytes())
        # Copy on write, which never happens: torch refuses an array that is read-only.
        matrix = np.load(entry / MATRIX, mmap_mode="c", allow_pickle=False)
        whole = len(matrix) == len(kept["words"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return WordVectors(kept["words"], matrix, num_zero=kept["num_zero"]) if whole else None


def _keep(vectors: WordVectors, entry: Path) -> None:
    """Write an entry whole or not at all; nothing is kept in a folder that cannot be written."""
    draft = entry.with_name(f"{entry.name}.{uuid.uuid4().hex}.draft")
    try:
        draft.mkdir(parents=True)
        np.save(draft / MATRIX, vectors.matrix, allow_pickle=False)
        (draft / WORDS).write_text(json.dumps({"num_zero": vectors.num_zero, "words": vectors.words}), "utf-8")
        if entry.exists():  # a spoiled one
            shutil.rmtree(entry, ignore_errors=True)
        os.rename(draft, entry)  # noqa: PTH104 - a folder
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
