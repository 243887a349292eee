"""A sample is a prefix of one fixed order of the rows, so that a larger sample holds every smaller one.

The order comes from a hash of (seed, purpose, row), not from a random generator: it is the same on every
platform and with every release of every library.
"""

import hashlib

import numpy as np


def hashed_order(rows: int, seed: int, purpose: str) -> np.ndarray:
    """Return a permutation of ``range(rows)``, (rows,), int64; the same on every platform."""
    keys = b"".join(hashlib.blake2b(f"{purpose}:{seed}:{row}".encode(), digest_size=8).digest() for row in range(rows))
    return np.argsort(np.frombuffer(keys, dtype="<u8"), kind="stable")


def draw(rows: int, count: int, seed: int, purpose: str, strata: np.ndarray | None = None) -> np.ndarray:
    """Draw ``count`` of ``rows`` rows; return their indices, ascending, (count,), int64.

    With ``strata`` (rows,) each stratum keeps its share to within a row or so, and none is left out as long
    as as many rows are drawn as there are strata: the k-th row of a stratum of n comes when k/n of all rows
    have been drawn.
    """
    order = hashed_order(rows, seed, purpose)
    if strata is not None:
        shares = np.empty(rows, dtype=np.float64)
        ranked = strata[order]
        for stratum in np.unique(strata):
            members = np.flatnonzero(ranked == stratum)
            shares[members] = np.arange(len(members)) / len(members)
        order = order[np.argsort(shares, kind="stable")]
    return np.sort(order[:count])
