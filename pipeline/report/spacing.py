"""Move labels and boxes apart as little as possible, without changing their order.

For a fixed order, finding positions with at least a gap between them, as near as possible to the desired ones, is an
isotonic regression of the positions minus the gaps before them.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import isotonic_regression


def keep_apart(desired: Sequence[float] | np.ndarray, gaps: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the positions nearest to ``desired`` (least squares) whose neighbours are at least ``gaps`` apart.

    Args:
        desired: (n,), in the order to keep, which need not be ascending.
        gaps: (n - 1,), the smallest distance from each position to the next.
    """
    if len(desired) == 0:
        return np.zeros(0)
    shifts = np.concatenate([[0.0], np.cumsum(gaps)])
    return isotonic_regression(np.asarray(desired, dtype=float) - shifts).x + shifts


def spread(values: Sequence[float] | np.ndarray, gap: float) -> np.ndarray:
    """Return the values, in the same order, moved as little as needed to be at least ``gap`` apart."""
    array = np.asarray(values, dtype=float)
    order = np.argsort(array, kind="stable")
    spaced = np.empty_like(array)
    spaced[order] = keep_apart(array[order], np.full(max(len(array) - 1, 0), gap))
    return spaced
