"""Candidates on disk: a row for each sentence, read by number without loading the others.

``candidates.arrow`` has the words of each sentence and the candidates of each replaceable one, as indices into
``words.arrow``; ``rows.arrow`` has the sentences of each row of the task.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import ipc

from pipeline.augmentation.candidates.table import Candidates, CandidateTable
from pipeline.augmentation.variants.shards import open_batches, write_batches
from pipeline.augmentation.words.words import Sentence

CANDIDATES, WORDS, ROWS = "candidates.arrow", "words.arrow", "rows.arrow"
NUMBERS, STRINGS = pa.list_(pa.int32()), pa.list_(pa.string())


def _schema(candidate: pa.DataType) -> pa.Schema:
    return pa.schema(
        [
            ("text", pa.string()),
            ("words", STRINGS),
            ("spaced", pa.list_(pa.bool_())),
            ("marked", pa.list_(pa.bool_())),
            ("pieces", pa.list_(NUMBERS)),
            ("replaceable", NUMBERS),
            ("num_beyond", pa.int32()),
            ("positions", NUMBERS),
            ("candidates", pa.list_(pa.list_(candidate))),
        ]
    )


SHARD, JOINED = _schema(pa.string()), _schema(pa.int32())


def write_shard(path: Path, texts: Iterable[str], table: CandidateTable) -> None:
    """Compute the candidates of distinct texts together, and write them."""
    rows = [
        {
            "text": text,
            "words": found.sentence.words,
            "spaced": found.sentence.spaced,
            "marked": found.sentence.marked,
            "pieces": found.sentence.pieces,
            "replaceable": found.sentence.replaceable,
            "num_beyond": found.num_beyond,
            "positions": tuple(found.words),
            "candidates": tuple(found.words.values()),
        }
        for text, found in table.build(texts).items()
    ]
    write_batches(path, SHARD, [pa.RecordBatch.from_pylist(rows, schema=SHARD)])


def join_shards(shards: Iterable[Path], folder: Path) -> Counter[str]:
    """Write all shards into one table, a batch each, with the candidates as indices; return its counts."""
    known: dict[str, int] = {}
    counts = Counter(rows=open_batches(folder / ROWS).get_batch(0).num_rows)
    write_batches(folder / CANDIDATES, JOINED, (_indexed(shard, known, counts) for shard in shards))
    words = pa.record_batch({"word": pa.array(list(known), pa.string())})
    write_batches(folder / WORDS, words.schema, [words])
    return counts


def _indexed(shard: Path, known: dict[str, int], counts: Counter[str]) -> pa.RecordBatch:
    batch = open_batches(shard).get_batch(0)
    of_words = batch["candidates"].flatten()
    flat = of_words.flatten().dictionary_encode()
    numbers = [known.setdefault(word, len(known)) for word in flat.dictionary.to_pylist()]
    indices = pa.array(np.array(numbers, np.int32)[flat.indices.to_numpy()], pa.int32())
    lists = pa.ListArray.from_arrays(of_words.offsets, indices)
    column = pa.ListArray.from_arrays(batch["candidates"].offsets, lists)
    counts.update(sentences=batch.num_rows, replaceable_words=len(batch["replaceable"].flatten()))
    counts.update(words_with_candidates=len(of_words), candidates=len(flat))
    return pa.record_batch([*(batch[name] for name in JOINED.names[:-1]), column], schema=JOINED)


class StoredCandidates:
    """Reads the candidates of a folder by the numbers of the sentences.

    Args:
        folder: an artifact of the stage ``candidates``.
    """

    def __init__(self, folder: Path) -> None:
        self._file: ipc.RecordBatchFileReader = open_batches(folder / CANDIDATES)
        self._batches = [self._file.get_batch(number) for number in range(self._file.num_record_batches)]
        sizes = [batch.num_rows for batch in self._batches]
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        words = open_batches(folder / WORDS).get_batch(0)
        self._words: list[str] = words["word"].to_pylist()

    def read(self, numbers: NDArray[np.int64]) -> dict[str, Candidates]:
        """Return text -> candidates, of the sentences with these numbers."""
        numbers = np.unique(numbers)
        batches = np.searchsorted(self._starts, numbers, side="right") - 1
        candidates: dict[str, Candidates] = {}
        for at, group in groupby(zip(batches.tolist(), numbers.tolist(), strict=True), key=lambda pair: pair[0]):
            candidates.update(self._some(self._batches[at], [number - int(self._starts[at]) for _, number in group]))
        return candidates

    def _some(self, batch: pa.RecordBatch, rows: list[int]) -> Iterator[tuple[str, Candidates]]:
        if rows[-1] - rows[0] == len(rows) - 1:
            some = batch.slice(rows[0], len(rows))
        else:
            some = batch.take(pa.array(rows, pa.int64()))
        plain = {name: some[name].to_pylist() for name in JOINED.names if name not in {"candidates", "pieces"}}
        for row, pieces, words in zip(
            (dict(zip(plain, values, strict=True)) for values in zip(*plain.values(), strict=True)),
            nested(some["pieces"]),
            nested(some["candidates"]),
            strict=True,
        ):
            sentence = Sentence(
                words=tuple(row["words"]),
                spaced=tuple(row["spaced"]),
                marked=tuple(row["marked"]),
                pieces=tuple(map(tuple, pieces)),
                replaceable=tuple(row["replaceable"]),
            )
            choices = [tuple([self._words[index] for index in indices]) for indices in words]
            yield (
                row["text"],
                Candidates(sentence, dict(zip(row["positions"], choices, strict=True)), row["num_beyond"]),
            )


def nested(column: pa.ListArray) -> Iterator[list[list[int]]]:
    """Yield the lists of lists of integers of a column, many times faster than ``to_pylist``."""
    inner = column.flatten()
    flat = inner.flatten().to_numpy().tolist()
    bounds = _bounds(inner)
    lists = [flat[start:end] for start, end in pairwise(bounds)]
    return (lists[start:end] for start, end in pairwise(_bounds(column)))


def _bounds(column: pa.ListArray) -> list[int]:
    """Return where each list begins in ``column.flatten()``, and where the last one ends."""
    offsets = column.offsets.to_numpy()
    return (offsets - offsets[0]).tolist()
