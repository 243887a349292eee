"""A metric is a function of two columns, predictions and labels; a combined one is the mean of its parts.

The official ones of GLUE: accuracy, accuracy and F1 together, Matthews correlation, Pearson and Spearman.
"""

import numpy as np
from numpy.typing import ArrayLike

from pipeline.errors import ConfigError, TrainingError
from pipeline.evaluation.bootstrap import interval, resampled_scores
from pipeline.evaluation.scores import correlations, count_pairs, count_scores, num_classes

CLASSIFICATION = ("accuracy", "f1", "matthews", "accuracy_and_f1")
METRICS = (*CLASSIFICATION, "pearson_spearman")


def main_metric(metric: str) -> str:
    """The key of ``compute_metrics`` that selects checkpoints; a combined metric is the mean of its parts.

    Raises:
        ConfigError: there is no such metric.
    """
    if metric not in METRICS:
        raise ConfigError(f"there is no metric {metric!r}: choose one of {', '.join(METRICS)}")
    return metric


def compute_metrics(metric: str, predictions: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """Every score the metric consists of, the main one under ``main_metric(metric)``.

    ``f1`` is that of class 1 when there are no other classes than 0 and 1, else the macro average. What is
    undefined (no positive anywhere, a constant column in a correlation) is 0.

    Args:
        metric: one of ``METRICS``.
        predictions: (rows,), class indices, or numbers for ``pearson_spearman``.
        labels: (rows,), the same.

    Raises:
        ConfigError: there is no such metric.
        TrainingError: a prediction is not finite.
    """
    found, expected = _columns(metric, predictions, labels)
    return _scores(metric, found, expected, num_classes(found, expected))


def bootstrap_interval(
    metric: str,
    predictions: ArrayLike,
    labels: ArrayLike,
    resamples: int,
    seed: int,
    *,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of the main metric over resampled rows, as (low, high).

    Args:
        metric: one of ``METRICS``.
        predictions: (rows,), as in ``compute_metrics``.
        labels: (rows,).
        resamples: how many times the rows are drawn again, with replacement.
        seed: of the draws.
        level: the share of the resampled scores between low and high.
    """
    found, expected = _columns(metric, predictions, labels)
    (scores,) = resampled_scores(metric, expected, (found,), resamples, seed)
    return interval(scores, level)


def bootstrap_difference(
    metric: str,
    predictions_a: ArrayLike,
    predictions_b: ArrayLike,
    labels: ArrayLike,
    resamples: int,
    seed: int,
    *,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """How far a is above b in the main metric, with its paired interval, as (difference, low, high).

    Both are scored on the same resampled rows, so what is hard for both cancels out. An interval without 0
    says that the difference is not an accident of the rows.
    """
    key = main_metric(metric)
    first, expected = _columns(metric, predictions_a, labels)
    second, _ = _columns(metric, predictions_b, labels)
    classes = num_classes(expected, first, second)
    point_a, point_b = (_scores(metric, found, expected, classes)[key] for found in (first, second))
    scores_a, scores_b = resampled_scores(metric, expected, (first, second), resamples, seed)
    return (point_a - point_b, *interval(scores_a - scores_b, level))


def _scores(metric: str, predictions: np.ndarray, labels: np.ndarray, classes: int) -> dict[str, float]:
    if metric in CLASSIFICATION:
        scores = count_scores(metric, count_pairs(labels, predictions, classes))
    else:
        scores = correlations(predictions[None], labels[None])
    return {name: float(score[0]) for name, score in scores.items()}


def _columns(metric: str, predictions: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both columns as int64 or float64, checked."""
    dtype = np.int64 if main_metric(metric) in CLASSIFICATION else np.float64
    found, expected = np.asarray(predictions), np.asarray(labels)
    if found.shape != expected.shape or found.ndim != 1 or not len(found):
        raise ValueError(f"predictions {found.shape} and labels {expected.shape} are not two columns of rows")
    broken = int((~np.isfinite(found)).sum())
    if broken:
        raise TrainingError(f"{broken} of {len(found)} predictions are not finite: lower the learning rate")
    return found.astype(dtype), expected.astype(dtype)
