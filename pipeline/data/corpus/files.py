"""Build a token table from documents, in one pass and in constant memory.

A corpus is a token table of packed sequences with statistics: what was read, what was dropped and why, and how long
the sequences are. A sequence is ``[CLS] paragraphs of one document [SEP]``: consecutive paragraphs are joined while
they fit; a paragraph that is too long is split. No sequence crosses from one document to another.

A clean paragraph is Unicode in composed form (NFC) on one line, with single spaces and without invisible characters.
Duplicates are recognised by a Bloom filter: its memory does not grow with the corpus, but it drops a few new
paragraphs, at a known rate.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerFast

from pipeline.data.corpus.text import Document
from pipeline.data.tokens.table import TokenTable, TokenTableWriter
from pipeline.errors import DataError, ModelError
from pipeline.progress import Progress, Silent

BATCH_PARAGRAPHS = 1000
LENGTH_BINS = 8
NUM_HASHES = 7  # the best number for about 10 bits a paragraph
# C0 and C1 controls that are not white space, soft hyphen, zero-width space, word joiner, byte order mark,
# lone surrogates (which no encoder takes) and the two non-characters.
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u200b\u2060\ufeff\ud800-\udfff\ufffe\uffff]")


def clean_paragraph(text: str) -> str:
    """Return the paragraph in NFC, without control characters, with single spaces."""
    text = _INVISIBLE.sub("", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.split())


class Deduplicator:
    """Recognises repeated texts with a Bloom filter of ``memory_mb`` megabytes.

    A repeated text is always recognised. A new text is mistaken for a repeated one with probability
    ``false_positive_rate``. Hashes are 128-bit blake2b, so the results are the same on every machine.
    """

    def __init__(self, memory_mb: float) -> None:
        self._num_bits = max(int(memory_mb * 2**20), 1) * 8
        self._bits = np.zeros(self._num_bits // 8, np.uint8).data  # zeros take no memory until set
        self._num_set = 0

    def seen(self, text: str) -> bool:
        """Return whether the text was seen before, and remember it."""
        digest = blake2b(text.encode(), digest_size=16).digest()
        # Double hashing: an odd step visits different bits (Kirsch and Mitzenmacher 2006).
        start, step = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little") | 1
        bits, num_bits, known = self._bits, self._num_bits, True
        for i in range(NUM_HASHES):
            byte, bit = divmod((start + i * step) % num_bits, 8)
            if not bits[byte] >> bit & 1:
                bits[byte] |= 1 << bit
                self._num_set += 1
                known = False
        return known

    @property
    def false_positive_rate(self) -> float:
        """Probability that a new text is now mistaken for a repeated one: (share of bits set) ** hashes."""
        return (self._num_set / self._num_bits) ** NUM_HASHES


@dataclass
class Counts:
    """Numbers of documents and paragraphs that were read, and of paragraphs that were dropped."""

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
        folder: folder of the table.
        max_length: greatest length of a sequence, special tokens included.
        min_words: a paragraph with fewer is dropped.
        deduplicate: drop paragraphs that were met before, in a Bloom filter.
        dedup_memory_mb: memory of that filter.
        max_tokens: stop after this many tokens, special tokens included.
        progress: receives the number of tokens written so far.

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
            raise DataError(
                f"nothing is left of the corpus: {counts.documents} documents, {counts.paragraphs} paragraphs, "
                f"{counts.dropped_too_short} under {min_words} words, {counts.dropped_duplicate} duplicates: "
                "give more text or lower min_words"
            )
    lengths = TokenTable.open(folder).lengths
    return asdict(counts) | {
        "sequences": len(lengths),
        "tokens": num_tokens,
        "mean_length": round(float(lengths.mean()), 2),
        "length_histogram": length_histogram(lengths, max_length),
        "dedup_false_positive_rate": filter_.false_positive_rate if filter_ else 0.0,
    }


def pack(documents: Iterable[list[list[int]]], max_length: int, cls_id: int, sep_id: int) -> Iterator[list[int]]:
    """Join the paragraphs of each document into sequences of at most ``max_length`` tokens.

    Args:
        documents: documents of paragraphs of token ids, without special tokens.
        max_length: greatest length of a sequence, its two special tokens included; at least 3.
        cls_id: first token of every sequence.
        sep_id: last token of every sequence.
    """
    room = max_length - 2
    if room < 1:
        raise ValueError(f"max_length is {max_length}: two special tokens and text need at least 3")
    for document in documents:
        for tokens in _fill(document, room):
            yield [cls_id, *tokens, sep_id]


def _fill(document: list[list[int]], room: int) -> Iterator[list[int]]:
    tokens: list[int] = []
    for paragraph in document:
        if tokens and len(tokens) + len(paragraph) > room:
            yield tokens
            tokens = []
        tokens = tokens + paragraph
        while len(tokens) > room:
            yield tokens[:room]
            tokens = tokens[room:]
    if tokens:
        yield tokens


def length_histogram(lengths: np.ndarray, max_length: int) -> dict[int, int]:
    """Return greatest length of a bin -> number of sequences, for ``LENGTH_BINS`` bins."""
    edges = np.unique(np.linspace(0, max_length, LENGTH_BINS + 1).astype(int)[1:])
    counts = np.bincount(np.searchsorted(edges, lengths), minlength=len(edges))
    return {int(edge): int(count) for edge, count in zip(edges, counts, strict=True)}


def _kept(
    documents: Iterable[Document], counts: Counts, min_words: int, known: Deduplicator | None
) -> Iterator[Document]:
    """Yield documents of clean paragraphs that are kept; empty documents too, so that all are counted."""
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
    """Yield documents as token ids; about ``BATCH_PARAGRAPHS`` paragraphs are tokenised at a time."""
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
    paragraphs = 0
    for document in documents:
        batch.append(document)
        paragraphs += len(document) + 1  # an empty document counts too, or a batch could grow without end
        if paragraphs >= size:
            yield batch
            batch, paragraphs = [], 0
    if batch:
        yield batch


def _boundary_ids(tokenizer: PreTrainedTokenizerFast) -> tuple[int, int]:
    """Return the ids of the first and last token of a sequence, whatever their names are."""
    ends = tokenizer("")["input_ids"]
    if len(ends) != 2:
        raise ModelError(f"the tokenizer puts {len(ends)} special tokens around a text, not 2: use an encoder's")
    return ends[0], ends[1]
