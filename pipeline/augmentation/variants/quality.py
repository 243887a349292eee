"""The quality of variants: how many are distinct, how their length and the teacher's prediction change.

Variants are read once, as a stream, in the order in which they were written, in which those of a row are together.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.augmentation.variants.draw import TEXT, TEXT_PAIR

Logits = NDArray[np.float32]


class Shown(NamedTuple):
    """A variant that was picked: its place among all, and its changed column."""

    place: int
    column: str
    num_changed: int
    text: str


class Survey(NamedTuple):
    """Counts of the variants.

    Attributes:
        variants: number of variants.
        distinct: number of variants that differ from the others of their row, ignoring case.
        varied_rows: number of rows that have any.
        shown: the variants that were picked, in the order of their places.
    """

    variants: int
    distinct: int
    varied_rows: int
    shown: list[Shown]


def survey(batches: Iterable[pa.RecordBatch], wanted: Iterable[int] = ()) -> Survey:
    """Count variants, and pick some.

    Args:
        batches: columns origin_id, column, num_changed, text and, for pairs, text_pair.
        wanted: places of the variants to pick.
    """
    places, shown = set(wanted), []
    variants = distinct = varied_rows = 0
    for _, group in groupby(_rows(batches), key=lambda row: row[0]):
        seen = set()
        for _, column, num_changed, text, pair in group:
            seen.add((text.lower(), pair and pair.lower()))
            if variants in places:
                shown.append(Shown(variants, column, num_changed, (text if column == TEXT else pair) or ""))
            variants += 1
        distinct += len(seen)
        varied_rows += 1
    return Survey(variants, distinct, varied_rows, shown)


def length_ratio(lengths: NDArray[np.int32], origins: NDArray[np.int64]) -> dict[str, float]:
    """Return the tokens of variants divided by those of their origins: mean, 5th and 95th percentile.

    Args:
        lengths: (origins and variants,), number of the teacher's tokens, special tokens included.
        origins: (variants,), index of each variant's origin; the variants are the last of ``lengths``.
    """
    if not len(origins):
        return {}
    ratios = lengths[len(lengths) - len(origins) :] / np.maximum(1, lengths[origins])
    low, high = np.quantile(ratios, (0.05, 0.95))
    return {"mean": float(ratios.mean()), "p05": float(low), "p95": float(high)}


def teacher_shift(logits: Logits, origins: NDArray[np.int64], flipped: NDArray[np.bool_]) -> dict[str, Any]:
    """Return how far the teacher's prediction for a variant is from that for its origin.

    ``flip_rate``: share of variants whose label differs. ``probability_shift``: mean over variants of the probability
    that moved from some classes to others, 1/2 sum |p - q|; with two classes, the absolute difference of either
    probability. With one output, ``score_shift`` instead: the mean absolute difference.

    Args:
        logits: (origins and variants, classes).
        origins: (variants,), index of each variant's origin; the variants are the last of ``logits``.
        flipped: (variants,), whether its label differs from its origin's.
    """
    if not len(origins):
        return {}
    moved = 0.0
    first = len(logits) - len(origins)
    numbers = logits.shape[1] == 1
    for begin in range(0, len(origins), 1 << 16):
        places = origins[begin : begin + (1 << 16)]
        variants = logits[first + begin : first + begin + len(places)]
        if numbers:
            moved += float(np.abs(variants - logits[places]).sum(dtype=np.float64))
        else:
            moved += float(np.abs(_softmax(variants) - _softmax(logits[places])).sum() / 2)
    return {"flip_rate": float(flipped.mean()), "score_shift" if numbers else "probability_shift": moved / len(origins)}


def _softmax(logits: Logits) -> NDArray[np.float64]:
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterable[tuple[Any, str, int, str, str | None]]:
    for batch in batches:
        columns = [batch[name].to_pylist() for name in ("origin_id", "column", "num_changed", TEXT)]
        pairs = batch[TEXT_PAIR].to_pylist() if TEXT_PAIR in batch.schema.names else [None] * batch.num_rows
        yield from zip(*columns, pairs, strict=True)
