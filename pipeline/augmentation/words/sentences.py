"""The distinct sentences of a task's rows, in the order in which they first appear, and the sentences of each row.

Rows are read twice and not kept in memory, only a few integers for each text; texts are distinguished by 64 bits of
their hash.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.augmentation.variants.shards import write_batches

# A shard of long sentences has fewer of them: a masked LM reads a sentence once for each of its words.
SHARD_SQUARE_CHARACTERS = 8_000_000
NOTHING = -1  # the number of a text that is null
SENTENCES = pa.schema([("text", pa.string())])
Rows = Callable[[], Iterator[pa.RecordBatch]]  # at least one batch, of no rows where there are none


def write_sentences(
    rows: Rows, columns: Sequence[str], sentences: Path, numbers: Path, *, shard_sentences: int
) -> None:
    """Write the distinct sentences, a batch a shard, and for each row the numbers of its sentences.

    Args:
        rows: reads the rows, batch by batch; the same rows whenever it is called.
        columns: names of the text columns; null means no text, but an empty text in the first column.
        sentences: file of the sentences, to be written; column text.
        numbers: file of the rows, to be written; an int64 column for each text column, ``NOTHING`` for null.
        shard_sentences: largest number of sentences of a shard.
    """
    hashes = [_hashes(batch, columns) for batch in rows()]
    known = np.concatenate(hashes) if hashes else np.zeros((0, len(columns)), np.uint64)
    del hashes
    number = number_by_appearance(known.reshape(-1))
    number[known.reshape(-1) == 0] = NOTHING
    first = _first_appearances(number)
    found = (text for text, new in zip(_texts(rows(), columns), first, strict=True) if new)
    write_batches(sentences, SENTENCES, (_batch(shard) for shard in cut(found, shard_sentences)))
    of_row = number.reshape(known.shape)
    table = pa.record_batch({name: np.ascontiguousarray(of_row[:, at]) for at, name in enumerate(columns)})
    write_batches(numbers, table.schema, [table])


def number_by_appearance(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Number the keys in the order in which they first appear; the key 0 gets ``NOTHING``."""
    distinct, first, which = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first[distinct != 0], kind="stable")
    rank = np.full(len(distinct), NOTHING, np.int64)
    rank[np.flatnonzero(distinct != 0)[order]] = np.arange(len(order))
    return rank[which]


def cut(texts: Iterable[str], most: int) -> Iterator[list[str]]:
    """Put texts into shards whose bounds depend on the texts alone."""
    shard: list[str] = []
    work = 0
    for text in texts:
        shard.append(text)
        work += len(text) ** 2
        if len(shard) == most or work >= SHARD_SQUARE_CHARACTERS:
            yield shard
            shard, work = [], 0
    if shard:
        yield shard


def _first_appearances(number: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether each number appears for the first time: then it is higher than all before it."""
    highest = np.maximum.accumulate(np.concatenate([[NOTHING], number]))
    return number > highest[:-1]


def _texts(batches: Iterable[pa.RecordBatch], columns: Sequence[str]) -> Iterator[str]:
    for batch in batches:
        for texts in zip(*(batch[name].to_pylist() for name in columns), strict=True):
            yield from (text or "" for text in texts)


def _hashes(batch: pa.RecordBatch, columns: Sequence[str]) -> NDArray[np.uint64]:
    """Return the hash of each text, (rows, columns); 0 for null, except in the first column."""
    hashes = np.zeros((batch.num_rows, len(columns)), np.uint64)
    for at, name in enumerate(columns):
        digests = [_digest(text, at == 0) for text in batch[name].to_pylist()]
        hashes[:, at] = np.frombuffer(b"".join(digests), np.uint64)
    return hashes


def _digest(text: str | None, always: bool) -> bytes:
    if text is None and not always:
        return bytes(8)
    return blake2b((text or "").encode(errors="surrogatepass"), digest_size=8).digest()


def _batch(texts: list[str]) -> pa.RecordBatch:
    return pa.record_batch([pa.array(texts, pa.string())], schema=SENTENCES)
