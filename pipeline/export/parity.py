"""Parity: how near an exported model is to the one it was made from, and whether that is near enough."""

import numpy as np
from numpy.typing import NDArray

from pipeline.export.bundle import Parity


def largest_difference(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """The largest absolute difference of two arrays of logits, (rows, outputs), to three significant digits."""
    return float(f"{float(np.abs(first - second).max()):.3g}")


def share_of_equal_labels(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Share of rows, 0 to 1, for which two arrays of logits, (rows, classes), name the same class."""
    return float((first.argmax(axis=1) == second.argmax(axis=1)).mean())


def correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Pearson's correlation of two columns of scores, (rows, 1); 1 where both are constant and equal."""
    one, other = first[:, 0].astype(np.float64), second[:, 0].astype(np.float64)
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    if size == 0.0:
        return float(np.array_equal(first, second))
    return min(1.0, float((one * other).sum() / size))


def shortfall(parity: Parity, floor: float) -> str | None:
    """Why a variant is refused, in words with figures; None where it is near enough.

    Args:
        parity: what was measured.
        floor: smallest share of equal labels, or for a regression smallest correlation.
    """
    near, what = (
        (parity.correlation, "is the correlation of its scores with the model's")
        if parity.equal_labels is None
        else (parity.equal_labels, "is the share of dev rows with the model's label")
    )
    if near is None or near >= floor:
        return None
    return f"{near:.4f} {what}, the floor is {floor:g}"
