"""From documents to a token table, in one pass and in memory that does not grow.

A corpus is a token table of packed sequences and the statistics of how it came about: what was read, what
was dropped and why, and how long the sequences are.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerFast

from pipeline.data.corpus.clean import Deduplicator, clean_paragraph
from pipeline.data.corpus.packing import pack
from pipeline.data.corpus.text import Document
from pipeline.data.tokens.table import TokenTable
from pipeline.data.tokens.table import TokenTableWriter
from pipeline.errors import DataError, ModelError
from pipeline.progress import Progress, Silent

BATCH_PARAGRAPHS = 1000
LENGTH_BINS = 8


@dataclass
class Counts:
    """What was read and what was dropped."""

    documents: int = 0
    paragraphs: int = 0
    dropped_too_short: int = 0
    dropped_duplicate: int = 0


def build_corpus(
    documents: Iterable[Document],
    tokenizer: PreTrainedTokenizerFast,
    folder: str | Path,
    *,
    max_length: int,
    min_words: int = 1,
    deduplicate: bool = True,
    dedup_memory_mb: float = 64,
    max_tokens: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Clean, deduplicate, tokenise and pack documents into a token table.

    Args:
        documents: lists of paragraphs.
        tokenizer: a fast tokenizer with a first and a separating token.
        folder: where the table is written.
        max_length: greatest length of a sequence, special tokens included.
        min_words: a paragraph with fewer is dropped.
        deduplicate: drop paragraphs that were met before, in a Bloom filter.
        dedup_memory_mb: memory of that filter.
        max_tokens: stop after this many tokens, special tokens included.
        progress: told the tokens written so far.

    Returns:
        documents, paragraphs, dropped_too_short, dropped_duplicate, sequences, tokens, mean_length,
        length_histogram (greatest length of a bin: sequences), dedup_false_positive_rate.

    Raises:
        DataError: nothing is left of the corpus.
        ModelError: the tokenizer does not begin and end a text as an encoder's does.
    """
    progress = progress or Silent()
    counts = Counts()
    filter_ = Deduplicator(dedup_memory_mb) if deduplicate else None
    kept = _kept(documents, counts, min_words, filter_)
    sequences = pack(_tokenised(kept, tokenizer), max_length, *_boundary_ids(tokenizer))
    num_tokens = 0
    with TokenTableWriter(folder, vocab_size=len(tokenizer)) as writer:
        for sequence in sequences:
            writer.append(sequence)
            num_tokens += len(sequence)
            progress.update(num_tokens, max_tokens, documents=counts.documents)
            if max_tokens is not None and num_tokens >= max_tokens:
                break
        if num_tokens == 0:
            raise DataError(_nothing_left(counts, min_words))
    lengths = TokenTable.open(folder).lengths
    return asdict(counts) | {
        "sequences": len(lengths),
        "tokens": num_tokens,
        "mean_length": round(float(lengths.mean()), 2),
        "length_histogram": length_histogram(lengths, max_length),
        "dedup_false_positive_rate": filter_.false_positive_rate if filter_ else 0.0,
    }


def length_histogram(lengths: np.ndarray, max_length: int) -> dict[int, int]:
    """How many sequences are at most so long, and longer than the bin before; ``LENGTH_BINS`` bins."""
    edges = np.unique(np.linspace(0, max_length, LENGTH_BINS + 1).astype(int)[1:])
    counts = np.bincount(np.searchsorted(edges, lengths), minlength=len(edges))
    return {int(edge): int(count) for edge, count in zip(edges, counts, strict=True)}


def _kept(
    documents: Iterable[Document], counts: Counts, min_words: int, known: Deduplicator | None
) -> Iterator[Document]:
    """Documents of clean paragraphs worth keeping; empty ones too, so that all are counted."""
    for document in documents:
        counts.documents += 1
        kept = []
        for paragraph in map(clean_paragraph, document):
            counts.paragraphs += 1
            if not paragraph or paragraph.count(" ") + 1 < min_words:
                counts.dropped_too_short += 1
            elif known is not None and known.seen(paragraph):
                counts.dropped_duplicate += 1
            else:
                kept.append(paragraph)
        yield kept


def _tokenised(documents: Iterable[Document], tokenizer: PreTrainedTokenizerFast) -> Iterator[list[list[int]]]:
    """Documents as token ids, about ``BATCH_PARAGRAPHS`` paragraphs through the tokenizer at a time."""
    for batch in _batches(documents, BATCH_PARAGRAPHS):
        texts = [paragraph for document in batch for paragraph in document]
        if not texts:
            continue
        encoded = tokenizer(
            texts,
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,  # paragraphs longer than the model are split later
        )
        ids = iter(encoded["input_ids"])
        yield from (list(islice(ids, len(document))) for document in batch)


def _batches(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    batch: list[Document] = []
    held = 0
    for document in documents:
        batch.append(document)
        held += len(document) + 1  # an empty document counts too, or a batch could grow without end
        if held >= size:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _boundary_ids(tokenizer: PreTrainedTokenizerFast) -> tuple[int, int]:
    """The ids that begin and end a sequence, whatever the tokenizer's family calls them."""
    ends = tokenizer("")["input_ids"]
    if len(ends) != 2:
        raise ModelError(f"the tokenizer puts {len(ends)} special tokens around a text, not 2: use an encoder's")
    return ends[0], ends[1]


def _nothing_left(counts: Counts, min_words: int) -> str:
    return (
        f"nothing is left of the corpus: {counts.documents} documents, {counts.paragraphs} paragraphs, "
        f"{counts.dropped_too_short} under {min_words} words, {counts.dropped_duplicate} duplicates: "
        "give more text or lower min_words"
    )
