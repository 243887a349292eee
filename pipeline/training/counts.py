"""Counts say how much one optimisation step holds, over all its micro-batches and all processes.

A loss is a sum over the rows at hand divided by a count of the whole step. So a step cut into
micro-batches, or shared out to several processes, has the gradient of one large batch exactly, however
unequal its parts are.
"""

import math
from collections.abc import Iterable, Mapping

from torch import Tensor

from pipeline.features import IGNORED

NAMES = ("rows", "tokens", "pairs", "positions", "position_pairs", "predicted")
# What a process without a row of its own divides by: it takes part in the step and adds nothing to it.
NOTHING = dict.fromkeys(NAMES, math.inf)


def count(batch: Mapping[str, Tensor]) -> dict[str, float]:
    """The counts of one batch.

    Args:
        batch: attention_mask (batch, length); of a masked-LM batch, labels (batch, length).

    Returns:
        rows; tokens (real ones); pairs (query and key both real, summed over rows); positions (padding
        included); position_pairs (padded keys and queries included); predicted (masked-LM labels).
    """
    mask = batch["attention_mask"]
    real = mask.sum(dim=1)
    rows, length = mask.shape
    labels = batch.get("labels")
    return {
        "rows": rows,
        "tokens": int(real.sum()),
        "pairs": int(real.square().sum()),
        "positions": rows * length,
        "position_pairs": rows * length * length,
        "predicted": int((labels != IGNORED).sum()) if labels is not None and labels.ndim > 1 else 0,
    }


def total(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The counts of several batches together."""
    parts = list(parts)
    return {name: sum(part[name] for part in parts) for name in NAMES}
