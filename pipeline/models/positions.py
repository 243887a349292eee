"""How long a sequence a model can read."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def longest_input(model: "nn.Module") -> float:
    """Word pieces a model has positions for; infinite when it has no table of positions.

    Families that number positions from after the padding index (RoBERTa) have that many fewer.
    """
    for name, module in model.named_modules():
        size = getattr(module, "num_embeddings", None)
        if name.endswith("position_embeddings") and size is not None:
            padding = getattr(module, "padding_idx", None)
            return float(size - (0 if padding is None else padding + 1))
    positions = getattr(getattr(model, "config", None), "max_position_embeddings", None)
    return float("inf") if positions is None else positions
