"""Losses are computed in float32 at least, whatever precision the models run in."""

import torch
from torch import Tensor


def precise(tensor: Tensor) -> Tensor:
    """The tensor in float32, or as it is where it is float32 or float64 already."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
