"""A metric is a function of two columns, predictions and labels; a combined metric is the mean of its parts.

The metrics are GLUE's: accuracy, accuracy with F1, Matthews correlation, Pearson with Spearman.

A bootstrap computes the same score on rows drawn again, with replacement, many times. A classification score depends
on the rows only through how often each (label, prediction) occurs, so drawing rows is drawing these counts from a
multinomial distribution: a thousand resamples cost one draw, whatever the number of rows. Correlations have no such
summary and are resampled row by row.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from pipeline.errors import ConfigError, TrainingError
from pipeline.evaluation.scores import Scoring, correlations, count_pairs, count_scores

CLASSIFICATION = ("accuracy", "f1", "matthews", "accuracy_and_f1")
METRICS = (*CLASSIFICATION, "pearson_spearman")
LEVEL = 0.95  # of every confidence interval
_CHUNK_ELEMENTS = 2_000_000
"""Numbers in memory at once; resamples are drawn in pieces of about this size."""


def main_metric(metric: str) -> str:
    """Return the key of ``compute_metrics`` that selects checkpoints; a combined metric is the mean of its parts.

    Raises:
        ConfigError: there is no such metric.
    """
    if metric not in METRICS:
        raise ConfigError(f"there is no metric {metric!r}: choose one of {', '.join(METRICS)}")
    return metric


def compute_metrics(scoring: Scoring, predictions: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """Return every score that the metric consists of, the main one under ``main_metric(scoring.metric)``.

    An undefined score (no positive row, a constant column in a correlation) is 0.

    Args:
        scoring: how the task is scored; its metric is one of ``METRICS``.
        predictions: (rows,), class indices, or numbers for ``pearson_spearman``.
        labels: (rows,), the same.

    Raises:
        ConfigError: there is no such metric.
        TrainingError: a prediction is not finite.
    """
    return _scores(scoring, *_columns(scoring, predictions, labels))


def interval(scores: np.ndarray) -> tuple[float, float]:
    """Return the percentiles between which the share ``LEVEL`` of the scores (resamples,) lies."""
    low, high = np.quantile(scores, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def bootstrap_interval(
    scoring: Scoring, predictions: ArrayLike, labels: ArrayLike, resamples: int, seed: int
) -> tuple[float, float]:
    """Return the percentile interval of the main metric over resampled rows, as (low, high).

    Args:
        scoring: how the task is scored.
        predictions: (rows,), as in ``compute_metrics``.
        labels: (rows,).
        resamples: how many times the rows are drawn.
        seed: seed of the draws.
    """
    column, expected = _columns(scoring, predictions, labels)
    (scores,) = resampled_scores(scoring, expected, (column,), resamples, seed)
    return interval(scores)


def bootstrap_difference(
    scoring: Scoring,
    predictions_a: ArrayLike,
    predictions_b: ArrayLike,
    labels: ArrayLike,
    resamples: int,
    seed: int,
) -> tuple[float, float, float]:
    """Return by how much a exceeds b in the main metric, with its paired interval, as (difference, low, high).

    Both are scored on the same resampled rows, so rows that are hard for both cancel out. An interval without 0 says
    that the difference is not an accident of the rows.
    """
    first, expected = _columns(scoring, predictions_a, labels)
    second, _ = _columns(scoring, predictions_b, labels)
    point_a, point_b = (_scores(scoring, column, expected)[scoring.metric] for column in (first, second))
    scores_a, scores_b = resampled_scores(scoring, expected, (first, second), resamples, seed)
    return (point_a - point_b, *interval(scores_a - scores_b))


def resampled_scores(
    scoring: Scoring, labels: np.ndarray, predictions: tuple[np.ndarray, ...], resamples: int, seed: int
) -> list[np.ndarray]:
    """Return the main score of each model over the same resampled rows, for each model (resamples,).

    Args:
        scoring: how the task is scored; the main score has the name of its metric.
        labels: (rows,), int64 for classification, float64 for correlations.
        predictions: for each model (rows,), of the same type.
        resamples: how many times the rows are drawn.
        seed: seed of the draws.
    """
    draw: Callable[[np.random.Generator, int], list[np.ndarray]]
    if scoring.metric == "pearson_spearman":
        elements, draw = len(labels), partial(_draw_rows, scoring, labels, predictions)
    else:
        kinds, occurrences = np.unique(np.stack([labels, *predictions], axis=1), axis=0, return_counts=True)
        elements, draw = max(scoring.classes**2, len(kinds)), partial(_draw_counts, scoring, kinds, occurrences)
    generator, size = np.random.default_rng(seed), max(1, _CHUNK_ELEMENTS // elements)
    pieces = [draw(generator, min(size, resamples - start)) for start in range(0, resamples, size)]
    return [np.concatenate(scores) for scores in zip(*pieces, strict=True)]


def _draw_counts(
    scoring: Scoring, kinds: np.ndarray, occurrences: np.ndarray, generator: np.random.Generator, size: int
) -> list[np.ndarray]:
    """Score resampled counts; ``kinds`` (kinds, 1 + models) are the distinct (label, prediction of each model)."""
    rows, classes = occurrences.sum(), scoring.classes
    drawn = generator.multinomial(rows, occurrences / rows, size=size)
    scores = []
    for model in range(1, kinds.shape[1]):
        tables = np.zeros((size, classes, classes), dtype=np.int64)
        for kind, times in zip(kinds, drawn.T, strict=True):
            tables[:, kind[0], kind[model]] += times
        scores.append(count_scores(scoring, tables)[scoring.metric])
    return scores


def _draw_rows(
    scoring: Scoring, labels: np.ndarray, predictions: tuple[np.ndarray, ...], generator: np.random.Generator, size: int
) -> list[np.ndarray]:
    rows = generator.integers(len(labels), size=(size, len(labels)))
    return [correlations(column[rows], labels[rows])[scoring.metric] for column in predictions]


def _scores(scoring: Scoring, predictions: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    if scoring.metric in CLASSIFICATION:
        scores = count_scores(scoring, count_pairs(labels, predictions, scoring.classes))
    else:
        scores = correlations(predictions[None], labels[None])
    return {name: float(score[0]) for name, score in scores.items()}


def _columns(scoring: Scoring, predictions: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return both columns as int64 or float64, checked."""
    classes = main_metric(scoring.metric) in CLASSIFICATION
    column, expected = np.asarray(predictions), np.asarray(labels)
    if column.shape != expected.shape or column.ndim != 1 or not len(column):
        raise ValueError(f"predictions {column.shape} and labels {expected.shape} are not two columns of rows")
    broken = int((~np.isfinite(column)).sum())
    if broken:
        raise TrainingError(f"{broken} of {len(column)} predictions are not finite: lower the learning rate")
    dtype = np.int64 if classes else np.float64
    column, expected = column.astype(dtype), expected.astype(dtype)
    if classes and max(column.max(), expected.max()) >= scoring.classes:
        raise ValueError(f"class {max(column.max(), expected.max())} of a task with {scoring.classes} labels")
    return column, expected
