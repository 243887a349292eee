"""A bootstrap is the same score on the same rows drawn again, with replacement, many times.

A classification score depends on the rows only through how often each (label, prediction) occurs, so drawing
rows again is drawing those counts from a multinomial: a thousand resamples cost one draw, whatever the number
of rows. Correlations have no such summary and are resampled row by row.
"""

from collections.abc import Iterator

import numpy as np

from pipeline.evaluation.scores import Scoring, correlations, count_scores

_CHUNK_ELEMENTS = 2_000_000
"""Numbers held at once; resamples are drawn in pieces of about this size."""


def interval(scores: np.ndarray, level: float) -> tuple[float, float]:
    """The percentiles between which the share ``level`` of the scores (resamples,) lies."""
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resampled_scores(
    scoring: Scoring, labels: np.ndarray, predictions: tuple[np.ndarray, ...], resamples: int, seed: int
) -> list[np.ndarray]:
    """The main score of each model over the same resampled rows: for each, (resamples,).

    Args:
        scoring: of the task; the main score bears the name of its metric.
        labels: (rows,), int64 for classification, float64 for correlations.
        predictions: for each model (rows,), of the same type.
        resamples: how many times the rows are drawn.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    draw = _correlation_pieces if scoring.metric == "pearson_spearman" else _count_pieces
    pieces = list(draw(scoring, labels, predictions, resamples, generator))
    return [np.concatenate(scores) for scores in zip(*pieces, strict=True)]


def _count_pieces(
    scoring: Scoring,
    labels: np.ndarray,
    predictions: tuple[np.ndarray, ...],
    resamples: int,
    generator: np.random.Generator,
) -> Iterator[list[np.ndarray]]:
    classes = scoring.classes
    kinds, occurrences = np.unique(np.stack([labels, *predictions], axis=1), axis=0, return_counts=True)
    for size in _piece_sizes(resamples, max(classes * classes, len(kinds))):
        drawn = generator.multinomial(len(labels), occurrences / len(labels), size=size)
        scores = []
        for model in range(1, kinds.shape[1]):
            tables = np.zeros((size, classes, classes), dtype=np.int64)
            for kind, times in zip(kinds, drawn.T, strict=True):
                tables[:, kind[0], kind[model]] += times
            scores.append(count_scores(scoring, tables)[scoring.metric])
        yield scores


def _correlation_pieces(
    scoring: Scoring,
    labels: np.ndarray,
    predictions: tuple[np.ndarray, ...],
    resamples: int,
    generator: np.random.Generator,
) -> Iterator[list[np.ndarray]]:
    for size in _piece_sizes(resamples, len(labels)):
        rows = generator.integers(len(labels), size=(size, len(labels)))
        yield [correlations(column[rows], labels[rows])[scoring.metric] for column in predictions]


def _piece_sizes(resamples: int, elements: int) -> Iterator[int]:
    """``resamples`` cut into pieces that hold about ``_CHUNK_ELEMENTS`` numbers each."""
    size = max(1, _CHUNK_ELEMENTS // elements)
    for start in range(0, resamples, size):
        yield min(size, resamples - start)
