"""Count the rows, tokens and pairs of one optimisation step, over all its micro-batches and processes.

A loss is a sum over the rows of a micro-batch, divided by a count of the whole step. So a step cut into
micro-batches, or split between processes, has exactly the gradient of one large batch, even if its parts are of
unequal size. If the loss includes padding, every part has to be padded as the large batch would be, to the longest row
of the step; the feed does that.
"""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from pipeline.features import IGNORED

NAMES = ("rows", "tokens", "pairs", "positions", "position_pairs", "predicted", "labelled")


def count(batch: Mapping[str, Tensor], windows: Iterable[int] = ()) -> dict[str, float]:
    """Count one batch.

    Args:
        batch: attention_mask, (batch, length); and perhaps labels: (batch, length) of masked words, or (batch,) of
            rows, classes or numbers. ``IGNORED`` or NaN marks a missing label.
        windows: distances w of local attention, in tokens, for which pairs are counted too.

    Returns:
        rows; tokens (real ones); pairs (query and key both real, summed over rows); positions (padding
        included); position_pairs (padded keys and queries included); predicted (masked-LM labels); labelled
        (rows with a label);
        for each window w, pairs_w and position_pairs_w: those at most w positions apart.
    """
    mask = batch["attention_mask"]
    real = mask.sum(dim=1)
    rows, length = mask.shape
    labels = batch.get("labels")
    near: dict[str, float] = {}
    for window in windows:
        near |= {
            f"pairs_{window}": _near(mask, window),
            f"position_pairs_{window}": _near(torch.ones_like(mask), window),
        }
    return {
        "rows": rows,
        "tokens": int(real.sum()),
        "pairs": int(real.square().sum()),
        "positions": rows * length,
        "position_pairs": rows * length * length,
        "predicted": _known(labels) if labels is not None and labels.ndim > 1 else 0,
        "labelled": _known(labels) if labels is not None and labels.ndim == 1 else 0,
        **near,
    }


def total(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Add up the counts of several batches."""
    parts = list(parts)
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: sum(part.get(name, 0) for part in parts) for name in names}


def nothing(counts: Mapping[str, float]) -> dict[str, float]:
    """Return infinite counts, for a process that has no row in this step: dividing by them makes its loss 0."""
    return dict.fromkeys(counts, math.inf)


def _known(labels: Tensor) -> int:
    """Count the labels that are not missing."""
    return int((~labels.isnan() if labels.is_floating_point() else labels != IGNORED).sum())


def _near(mask: Tensor, window: int) -> int:
    """Count the pairs of positions in the mask that are at most ``window`` apart."""
    before = torch.nn.functional.pad(mask.long().cumsum(dim=1), (1, 0))
    length = mask.shape[1]
    places = torch.arange(length)
    first, end = (places - window).clamp(min=0), (places + window + 1).clamp(max=length)
    return int(((before[:, end] - before[:, first]) * mask).sum())
