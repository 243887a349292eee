"""Tokenise rows to disk, and read them back as batches of tensors."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from pipeline.config.training import TrainingConfig
from pipeline.data.tokens.batches import BatchPlan
from pipeline.data.tokens.table import TokenTable, TokenTableWriter
from pipeline.data.tokens.tokenizer import Holes
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
    """Tokenise the texts (or text pairs) of some tables into one token table.

    Its columns are row_id and label (float; NaN if unknown). A table without a label column holds variants, in which
    augmenters may have left holes.

    Args:
        folder: folder of the new token table.
        tables: columns row_id, text, perhaps text_pair, and label unless they hold variants.
        tokenizer: a fast tokenizer.
        max_length: longest row, in word pieces; longer rows are cut, the longer text of a pair first.
        progress: receives a note with the number of rows that were cut.
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
    """Build the batch plan of a training.

    Args:
        lengths: (rows,), length of each row in tokens.
        config: batch size or tokens a batch, padding.
        seed: seed of the order of the rows.
        max_length: width of every batch if ``config.padding`` is "max_length".
    """
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
    """Return a function: (row indices, pass number) -> batch of tensors on the CPU.

    Args:
        table: tokens of all rows.
        pad_id: id of the padding token.
        pad_to: width of every batch, in tokens; None pads to its longest row.
        columns: (row indices) -> further arrays of the batch, by name.
    """

    def read(rows: NDArray[np.int64], _step: int) -> dict[str, torch.Tensor]:
        arrays = table.rows(rows, pad_id=pad_id, pad_to=pad_to)
        if columns is not None:
            arrays |= columns(rows)
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}

    return read


def by_length(lengths: NDArray[np.int32], max_tokens: int) -> Iterator[NDArray[np.int64]]:
    """Yield batches of row indices for inference: rows sorted by length, up to a number of tokens a batch.

    With few rows, lengths differ soon; so a batch that is large enough to be fast ends before it needs much padding.

    Args:
        lengths: (rows,), length of each row in tokens.
        max_tokens: largest number of tokens of a batch, padding included.
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
