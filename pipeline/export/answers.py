"""What a person or a program is told of a row: a label with probabilities, or a number."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.export.bundle import Bundle
from pipeline.export.scorer import Encoded, Row, Scorer

Answer = dict[str, Any]
WINDOW_ROWS = 2_048
WINDOW_CHARACTERS = 2_000_000
BATCH_TOKENS = 4_096  # of one forward pass, padding included
ENOUGH_TOKENS = 256  # a forward pass whose matrix products are near their best speed
MOST_PADDING = 0.1  # of a pass that has enough
DIGITS = 6


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Softmax of (rows, classes), each row adding up to 1."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def answers(bundle: Bundle, rows: Sequence[Encoded], logits: NDArray[np.float32]) -> list[Answer]:
    """For each row ``label`` and ``probabilities`` by label name, or ``score``; ``cut`` where the row lost its end."""
    if bundle.kind == "regression":
        found: list[Answer] = [{"score": round(float(value), DIGITS)} for value in logits[:, 0]]
    else:
        shares = probabilities(logits)
        found = [
            {
                "label": bundle.labels[int(best)],
                "probabilities": {
                    name: round(float(share), DIGITS) for name, share in zip(bundle.labels, row, strict=True)
                },
            }
            for best, row in zip(logits.argmax(axis=1), shares, strict=True)
        ]
    return [answer | {"cut": True} if row.cut else answer for answer, row in zip(found, rows, strict=True)]


def score_rows(scorer: Scorer, rows: Sequence[Encoded], max_tokens: int = BATCH_TOKENS) -> NDArray[np.float32]:
    """Logits of some rows, (rows, outputs), in their order; computed in batches of rows of like length.

    Args:
        scorer: the model.
        rows: in word pieces; at least one.
        max_tokens: word pieces of one forward pass, padding included.
    """
    logits: NDArray[np.float32] | None = None
    for places in _batches([len(row) for row in rows], max_tokens):
        found = scorer.logits([rows[place] for place in places])
        if logits is None:
            logits = np.empty((len(rows), found.shape[1]), np.float32)
        logits[places] = found
    return np.empty((0, len(scorer.bundle.labels)), np.float32) if logits is None else logits


def answer_all(scorer: Scorer, rows: Sequence[Row]) -> list[Answer]:
    """An answer for each of some rows."""
    encoded = scorer.encode(rows)
    return answers(scorer.bundle, encoded, score_rows(scorer, encoded)) if encoded else []


def answer_stream(scorer: Scorer, rows: Iterable[Row], window: int = WINDOW_ROWS) -> Iterator[Answer]:
    """An answer for each row of a stream of any length, in its order, in constant memory.

    Args:
        scorer: the model.
        rows: the stream.
        window: rows that are held at once, sorted by length and answered.
    """
    for held in windows(rows, window):
        yield from answer_all(scorer, held)


def windows(rows: Iterable[Row], window: int) -> Iterator[list[Row]]:
    """Successive lists of at most ``window`` rows, fewer where the texts are long."""
    held: list[Row] = []
    characters = 0
    for row in rows:
        held.append(row)
        characters += len(row.text) + len(row.text_pair or "")
        if len(held) >= window or characters >= WINDOW_CHARACTERS:
            yield held
            held, characters = [], 0
    if held:
        yield held


def _batches(lengths: Sequence[int], max_tokens: int) -> Iterator[list[int]]:
    """Places of rows, shortest first, in batches filled to a number of word pieces.

    Among few rows lengths soon differ; a batch large enough to be fast ends before much of it is padding.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    start = tokens = 0
    for end, place in enumerate(order):
        length = lengths[place]
        filled = (end - start + 1) * length
        wasteful = tokens >= ENOUGH_TOKENS and filled > (1 + MOST_PADDING) * (tokens + length)
        if end > start and (filled > max_tokens or wasteful):
            yield order[start:end]
            start, tokens = end, 0
        tokens += length
    if order:
        yield order[start:]
