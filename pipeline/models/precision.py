"""The precision is the number format of matrix products; everything else is computed in float32.

``bfloat16`` means the same on every device: products of activations and weights in bfloat16 under
autocast, weights that are trained, their optimizer, the residual stream, layer norms and losses in
float32. ``float32`` means IEEE float32: TF32, which keeps ten bits of it, is off.
"""

import torch
from torch import nn

from pipeline.config.precision import Precision
from pipeline.models.speed.frozen import freeze


def exact_float32() -> None:
    """Compute float32 products on a GPU in float32, not in TF32; to be called before the first product."""
    torch.set_float32_matmul_precision("highest")


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """Return the context in which teacher and students run; it has no effect in float32.

    Args:
        precision: "float32" or "bfloat16".
        device: device of the model.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def prepare_teacher(model: nn.Module, precision: Precision) -> None:
    """Freeze a model; in bfloat16 its linear weights are converted once, in place.

    Autocast caches converted weights only if they are trained, so it would convert those of a frozen teacher for every
    batch. The model has to run under ``autocast`` afterwards, and must not be saved.

    Args:
        model: the teacher; it is changed in place.
        precision: "float32" or "bfloat16".
    """
    freeze(model)
    if precision == "float32":
        return
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.to(torch.bfloat16)
