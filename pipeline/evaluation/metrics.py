"""A metric is a function of two columns, predictions and labels; a combined one is the mean of its parts.

The official ones of GLUE: accuracy, accuracy and F1 together, Matthews correlation, Pearson and Spearman.
"""

import numpy as np
from numpy.typing import ArrayLike

from pipeline.errors import ConfigError, TrainingError
from pipeline.evaluation.bootstrap import interval, resampled_scores
from pipeline.evaluation.scores import Scoring, correlations, count_pairs, count_scores

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


def compute_metrics(scoring: Scoring, predictions: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """Every score the metric consists of, the main one under ``main_metric(scoring.metric)``.

    What is undefined (no positive anywhere, a constant column in a correlation) is 0.

    Args:
        scoring: of the task; its metric is one of ``METRICS``.
        predictions: (rows,), class indices, or numbers for ``pearson_spearman``.
        labels: (rows,), the same.

    Raises:
        ConfigError: there is no such metric.
        TrainingError: a prediction is not finite.
    """
    return _scores(scoring, *_columns(scoring, predictions, labels))


def bootstrap_interval(
    scoring: Scoring,
    predictions: ArrayLike,
    labels: ArrayLike,
    resamples: int,
    seed: int,
    *,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of the main metric over resampled rows, as (low, high).

    Args:
        scoring: of the task.
        predictions: (rows,), as in ``compute_metrics``.
        labels: (rows,).
        resamples: how many times the rows are drawn again, with replacement.
        seed: of the draws.
        level: the share of the resampled scores between low and high.
    """
    found, expected = _columns(scoring, predictions, labels)
    (scores,) = resampled_scores(scoring, expected, (found,), resamples, seed)
    return interval(scores, level)


def bootstrap_difference(
    scoring: Scoring,
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
    key = main_metric(scoring.metric)
    first, expected = _columns(scoring, predictions_a, labels)
    second, _ = _columns(scoring, predictions_b, labels)
    point_a, point_b = (_scores(scoring, found, expected)[key] for found in (first, second))
    scores_a, scores_b = resampled_scores(scoring, expected, (first, second), resamples, seed)
    return (point_a - point_b, *interval(scores_a - scores_b, level))


def _scores(scoring: Scoring, predictions: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    if scoring.metric in CLASSIFICATION:
        scores = count_scores(scoring, count_pairs(labels, predictions, scoring.classes))
    else:
        scores = correlations(predictions[None], labels[None])
    return {name: float(score[0]) for name, score in scores.items()}


def _columns(scoring: Scoring, predictions: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both columns as int64 or float64, checked."""
    classes = main_metric(scoring.metric) in CLASSIFICATION
    found, expected = np.asarray(predictions), np.asarray(labels)
    if found.shape != expected.shape or found.ndim != 1 or not len(found):
        raise ValueError(f"predictions {found.shape} and labels {expected.shape} are not two columns of rows")
    broken = int((~np.isfinite(found)).sum())
    if broken:
        raise TrainingError(f"{broken} of {len(found)} predictions are not finite: lower the learning rate")
    dtype = np.int64 if classes else np.float64
    found, expected = found.astype(dtype), expected.astype(dtype)
    if classes and max(found.max(), expected.max()) >= scoring.classes:
        raise ValueError(f"class {max(found.max(), expected.max())} of a task with {scoring.classes} labels")
    return found, expected
