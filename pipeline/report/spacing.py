"""Keeping labels and boxes apart: the least movement that leaves the order and ends the overlaps.

With the order given, "at least a gap apart, as near as possible to where they want to be" is an isotonic
regression, once each position is shifted back by the gaps before it.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import isotonic_regression


def keep_apart(desired: Sequence[float] | np.ndarray, gaps: Sequence[float] | np.ndarray) -> np.ndarray:
    """Positions nearest to ``desired`` (least squares) whose neighbours are at least ``gaps`` apart.

    Args:
        desired: (n,), in the order to keep, which need not be ascending.
        gaps: (n - 1,), the smallest distance from each position to the next.
    """
    if len(desired) == 0:
        return np.zeros(0)
    shifts = np.concatenate([[0.0], np.cumsum(gaps)])
    return isotonic_regression(np.asarray(desired, dtype=float) - shifts).x + shifts


def spread(values: Sequence[float] | np.ndarray, gap: float) -> np.ndarray:
    """The values, in their own order, moved as little as needed to be at least ``gap`` apart."""
    array = np.asarray(values, dtype=float)
    order = np.argsort(array, kind="stable")
    spaced = np.empty_like(array)
    spaced[order] = keep_apart(array[order], np.full(max(len(array) - 1, 0), gap))
    return spaced
