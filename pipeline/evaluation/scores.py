"""Scores of many tables at once: classification from counts, correlation from columns of numbers.

Each function takes a first axis of independent tables (one, or every resample of a bootstrap) and answers
with one number a table. What is undefined is 0: no positive anywhere, a constant column in a correlation.
"""

import numpy as np

Scores = dict[str, np.ndarray]


def num_classes(*columns: np.ndarray) -> int:
    """Classes that the columns speak of, at least two."""
    return max(2, *(int(column.max()) + 1 for column in columns))


def count_pairs(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """How often each (label, prediction) occurs: (1, classes, classes), rows by label."""
    flat = np.bincount(labels * classes + predictions, minlength=classes * classes)
    return flat.reshape(1, classes, classes)


def count_scores(metric: str, counts: np.ndarray) -> Scores:
    """Scores of tables of counts (tables, classes, classes), rows by label: each score (tables,)."""
    if metric == "accuracy":
        return {metric: _accuracy(counts)}
    if metric == "f1":
        return {metric: _f1(counts)}
    if metric == "matthews":
        return {metric: _matthews(counts)}
    accuracy, f1 = _accuracy(counts), _f1(counts)
    return {"accuracy": accuracy, "f1": f1, metric: (accuracy + f1) / 2}


def _accuracy(counts: np.ndarray) -> np.ndarray:
    return np.trace(counts, axis1=1, axis2=2) / counts.sum(axis=(1, 2))


def _f1(counts: np.ndarray) -> np.ndarray:
    """Harmonic mean of precision and recall, 2 tp / (2 tp + fp + fn), of class 1 or averaged over classes."""
    right = np.diagonal(counts, axis1=1, axis2=2)
    seen = counts.sum(axis=1) + counts.sum(axis=2)
    each = _ratio(2 * right, seen)
    if counts.shape[1] == 2:
        return each[:, 1]
    return _ratio(each.sum(axis=1), (seen > 0).sum(axis=1))  # a class that never occurs has no say


def _matthews(counts: np.ndarray) -> np.ndarray:
    """Matthews correlation for any number of classes (Gorodkin 2004)."""
    counts = counts.astype(np.float64)
    labels, predictions = counts.sum(axis=2), counts.sum(axis=1)
    rows = counts.sum(axis=(1, 2))
    covariance = rows * np.trace(counts, axis1=1, axis2=2) - (labels * predictions).sum(axis=1)
    spread = (rows**2 - (labels**2).sum(axis=1)) * (rows**2 - (predictions**2).sum(axis=1))
    return _ratio(covariance, np.sqrt(spread))


def correlations(predictions: np.ndarray, labels: np.ndarray) -> Scores:
    """Correlations of paired columns (resamples, rows): each (resamples,)."""
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
    """``above / below``, and 0 where ``below`` is 0."""
    above, below = np.broadcast_arrays(above, below)
    return np.divide(above, below, out=np.zeros(below.shape), where=below != 0)
