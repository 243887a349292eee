"""A precision is what matrix products are computed in; everything else stays float32.

``bfloat16`` means the same on every device: products of activations and weights in bfloat16 under
autocast, weights that are trained, their optimizer, the residual stream, layer norms and losses in
float32. ``float32`` means IEEE float32: TF32, which keeps ten bits of it, is off.
"""

import torch
from torch import nn

from pipeline.config.precision import Precision
from pipeline.models.speed.frozen import freeze


def exact_float32() -> None:
    """Compute float32 products on a GPU in float32, not in TF32; call before the first of them."""
    torch.set_float32_matmul_precision("highest")


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """The context that models run in, teacher and student alike; without effect in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def prepare_teacher(model: nn.Module, precision: Precision) -> None:
    """Freeze a model; in bfloat16 its linear weights are converted once, in place.

    Autocast keeps the conversions of trained weights alone for the length of a step, so it would convert
    those of a frozen teacher for every batch. The model must run under ``autocast`` from then on, and must
    not be saved.

    Args:
        model: the teacher; in place.
        precision: resolved.
    """
    freeze(model)
    if precision == "float32":
        return
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.to(torch.bfloat16)
