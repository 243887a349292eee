"""Scores of many tables at once: classification from counts, correlation from columns of numbers.

The first axis of each argument is independent tables: one, or every resample of a bootstrap. Each function returns one
number a table. Undefined scores are 0: no positive row, a constant column in a correlation.
"""

from dataclasses import dataclass

import numpy as np

Scores = dict[str, np.ndarray]


@dataclass(frozen=True)
class Scoring:
    """How a task's rows are scored: the same for every model and every resample.

    Attributes:
        metric: name of the metric.
        classes: number of the task's labels, whether or not the rows have them all; 0 for a regression.
        positive: index of the positive class of F1; None averages F1 over the classes.
    """

    metric: str
    classes: int = 2
    positive: int | None = None


def count_pairs(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Count each (label, prediction): (1, classes, classes), rows by label."""
    flat = np.bincount(labels * classes + predictions, minlength=classes * classes)
    return flat.reshape(1, classes, classes)


def count_scores(scoring: Scoring, counts: np.ndarray) -> Scores:
    """Score tables of counts (tables, classes, classes), rows by label; each score is (tables,)."""
    metric = scoring.metric
    if metric == "accuracy":
        return {metric: _accuracy(counts)}
    if metric == "f1":
        return {metric: _f1(counts, scoring.positive)}
    if metric == "matthews":
        return {metric: _matthews(counts)}
    accuracy, f1 = _accuracy(counts), _f1(counts, scoring.positive)
    return {"accuracy": accuracy, "f1": f1, metric: (accuracy + f1) / 2}


def _accuracy(counts: np.ndarray) -> np.ndarray:
    return np.trace(counts, axis1=1, axis2=2) / counts.sum(axis=(1, 2))


def _f1(counts: np.ndarray, positive: int | None) -> np.ndarray:
    """Harmonic mean of precision and recall, 2 tp / (2 tp + fp + fn), of one class or averaged over classes.

    The average is over the classes that occur in the labels, whatever a model predicts, so that two models are always
    compared by the same rule; predictions of an absent class lower the scores of the others.
    """
    right = np.diagonal(counts, axis1=1, axis2=2)
    labelled = counts.sum(axis=2)
    by_class = _ratio(2 * right, counts.sum(axis=1) + labelled)
    if positive is not None:
        return by_class[:, positive]
    return _ratio(by_class.sum(axis=1), (labelled > 0).sum(axis=1))


def _matthews(counts: np.ndarray) -> np.ndarray:
    """Matthews correlation for any number of classes (Gorodkin 2004)."""
    counts = counts.astype(np.float64)
    labels, predictions = counts.sum(axis=2), counts.sum(axis=1)
    rows = counts.sum(axis=(1, 2))
    covariance = rows * np.trace(counts, axis1=1, axis2=2) - (labels * predictions).sum(axis=1)
    spread = (rows**2 - (labels**2).sum(axis=1)) * (rows**2 - (predictions**2).sum(axis=1))
    return _ratio(covariance, np.sqrt(spread))


def correlations(predictions: np.ndarray, labels: np.ndarray) -> Scores:
    """Correlate paired columns (resamples, rows); each correlation is (resamples,)."""
    from scipy.stats import rankdata

    pearson = _pearson(predictions, labels)
    spearman = _pearson(rankdata(predictions, axis=1), rankdata(labels, axis=1))
    return {"pearson": pearson, "spearman": spearman, "pearson_spearman": (pearson + spearman) / 2}


def _pearson(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Product-moment correlation along the rows; 0 where a column is constant."""
    constant = (np.ptp(first, axis=1) == 0) | (np.ptp(second, axis=1) == 0)
    units = []
    for column in (first, second):
        centred = column - column.mean(axis=1, keepdims=True)
        # the largest first: tiny deviations squared would vanish
        centred = _ratio(centred, np.abs(centred).max(axis=1, keepdims=True))
        units.append(_ratio(centred, np.linalg.norm(centred, axis=1, keepdims=True)))
    correlation = np.clip((units[0] * units[1]).sum(axis=1), -1.0, 1.0)
    return np.where(constant, 0.0, correlation)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return ``above / below``, and 0 where ``below`` is 0."""
    above, below = np.broadcast_arrays(above, below)
    return np.divide(above, below, out=np.zeros(below.shape), where=below != 0)
