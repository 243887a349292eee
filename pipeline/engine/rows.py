"""Rows of a task as tokens on disk, and as batches of tensors."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from pipeline.config.training import TrainingConfig
from pipeline.data.tokens.batches import BatchPlan
from pipeline.data.tokens.special_tokens import Holes
from pipeline.data.tokens.table import TokenTable
from pipeline.data.tokens.table_writer import TokenTableWriter
from pipeline.progress import Progress

CHUNK_ROWS = 2_000
ENOUGH_TOKENS = 512  # a batch whose matrix products are near their best speed
MOST_PADDING = 0.03  # of a batch that has enough
Tokenizer = Any  # a fast tokenizer of the Transformers library


def write_rows(
    folder: Path,
    tables: Iterable[pa.Table],
    tokenizer: Tokenizer,
    *,
    max_length: int,
    progress: Progress,
) -> TokenTable:
    """Tokenise the text (pair) columns of some tables into one token table.

    Columns: row_id, and label where the tables have it (a float; not a number where it is unknown).
    A row longer than ``max_length`` is cut, the longer text of a pair first, and counted in a note. A table
    without labels holds variants, in which augmenters may have left holes.
    """
    holes: Tokenizer | None = None
    truncated, count = 0, 0
    with TokenTableWriter(folder, vocab_size=len(tokenizer)) as writer:
        for table in tables:
            for chunk in table.to_batches(max_chunksize=CHUNK_ROWS):
                variants = "label" not in chunk.schema.names
                if variants and holes is None:
                    holes = Holes(tokenizer)
                encoded, cut = _encode(chunk, holes if variants else tokenizer, max_length)
                truncated += cut
                count += chunk.num_rows
                types = encoded.get("token_type_ids")
                ids = chunk["row_id"].to_pylist()
                labels = [None] * len(ids) if variants else chunk["label"].to_pylist()
                for place, (row_id, label) in enumerate(zip(ids, labels, strict=True)):
                    writer.append(
                        encoded["input_ids"][place],
                        types[place] if types else None,
                        row_id=row_id,
                        label=float("nan") if label is None else float(label),
                    )
    if truncated:
        progress.note(f"{truncated} of {count} rows are longer than {max_length} word pieces and were cut")
    return TokenTable.open(folder)


def _encode(chunk: pa.RecordBatch, tokenizer: Tokenizer, max_length: int) -> tuple[Any, int]:
    texts = chunk["text"].to_pylist()
    pairs = chunk["text_pair"].to_pylist() if "text_pair" in chunk.schema.names else None
    encoded = tokenizer(texts, pairs, truncation=True, max_length=max_length, return_overflowing_tokens=False)
    overflowing = [encoding for encoding in encoded.encodings if encoding.overflowing]
    return encoded, len(overflowing)


def plan(lengths: NDArray[np.int32], config: TrainingConfig, *, seed: int, max_length: int) -> BatchPlan:
    """The batch plan that a training configuration asks for."""
    return BatchPlan(
        lengths,
        config.batch_size,
        seed,
        max_tokens=config.max_tokens,
        drop_last=config.drop_last,
        pad_to=max_length if config.padding == "max_length" else None,
    )


def reader(
    table: TokenTable,
    *,
    pad_id: int,
    pad_to: int | None = None,
    columns: Callable[[NDArray[np.int64]], dict[str, NDArray[Any]]] | None = None,
) -> Callable[[NDArray[np.int64], int], dict[str, torch.Tensor]]:
    """A function from row indices to a batch: the padded tokens, and what ``columns`` adds to them.

    Args:
        table: the rows.
        pad_id: what they are padded with.
        pad_to: the width of every batch; None pads to its longest row.
        columns: row indices in, further arrays of the batch out.
    """

    def read(rows: NDArray[np.int64], _step: int) -> dict[str, torch.Tensor]:
        arrays = table.rows(rows, pad_id=pad_id, pad_to=pad_to)
        if columns is not None:
            arrays |= columns(rows)
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}

    return read


def by_length(lengths: NDArray[np.int32], max_tokens: int) -> Iterator[NDArray[np.int64]]:
    """Batches for reading alone: rows in order of length, filled to a number of tokens.

    Among few rows lengths soon differ; a batch large enough to be fast ends before much of it is padding.
    """
    order = np.argsort(lengths, kind="stable")
    start = tokens = 0
    for end, length in enumerate(lengths[order].tolist()):
        padded = (end - start + 1) * length
        wasteful = tokens >= ENOUGH_TOKENS and padded > (1 + MOST_PADDING) * (tokens + length)
        if end > start and (padded > max_tokens or wasteful):
            yield order[start:end]
            start, tokens = end, 0
        tokens += length
    if len(order):
        yield order[start:]
