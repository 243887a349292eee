"""The TinyBERT losses as pure functions of tensors (Jiao et al. 2020, arXiv:1909.10351, section 3.1).

Means run over real tokens: padding neither adds to a loss nor dilutes it, so a row's loss does not
depend on the rows it happens to be batched with. Everything is computed in float32 at least, whatever
precision the models run in.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from pipeline.distillation.attention_loss import attention_score_loss
from pipeline.distillation.precision import precise

__all__ = ["attention_score_loss", "masked_mse", "soft_cross_entropy"]


def masked_mse(student: Tensor, teacher: Tensor, mask: Tensor | None, *, count: float | None = None) -> Tensor:
    """Mean squared error over real tokens: L = MSE(H_S W, H_T) (equations 8 and 9).

    Args:
        student: (batch, length, d), already projected to the teacher's width.
        teacher: (batch, length, d), no grad.
        mask: (batch, length), True for tokens; None counts every position.
        count: positions to divide by, where these rows are a part of a larger batch; None counts those
            at hand.

    Returns:
        Scalar, float32 (float64 for float64 inputs).
    """
    positions = student[..., 0].numel() if mask is None else mask.sum()
    return _SquaredError.apply(student, teacher, mask) / ((positions if count is None else count) * student.shape[-1])


class _SquaredError(torch.autograd.Function):
    """Sum of squared differences over real tokens; keeps one tensor, the masked difference, for its gradient."""

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor, mask: Tensor | None) -> Tensor:
        difference = precise(student) - teacher
        if mask is not None:
            # A product, not an index: its cost does not depend on where the padding is.
            difference.mul_(mask.unsqueeze(-1).to(difference.dtype))
        ctx.save_for_backward(difference)
        ctx.dtype = student.dtype
        return difference.square().sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (difference,) = ctx.saved_tensors
        return (difference * (2 * grad)).to(ctx.dtype), None, None


def soft_cross_entropy(
    student_logits: Tensor,
    teacher_logits: Tensor,
    temperature: float = 1.0,
    *,
    mean_over_classes: bool = False,
    count: float | None = None,
) -> Tensor:
    """Cross-entropy with the teacher's softened distribution: CE(z_T / t, z_S / t) (equation 10).

    Args:
        student_logits: (batch, classes).
        teacher_logits: (batch, classes), no grad.
        temperature: t > 0.
        mean_over_classes: divide by the number of classes as well, as the released code does.
        count: rows to divide by, where these are a part of a larger batch; None counts those at hand.

    Returns:
        Scalar, float32: the mean over rows.
    """
    target = F.softmax(precise(teacher_logits) / temperature, dim=-1)
    log_probability = F.log_softmax(precise(student_logits) / temperature, dim=-1)
    elements = -target * log_probability
    if count is not None:
        return elements.sum() / (count * (elements.shape[-1] if mean_over_classes else 1))
    return elements.mean() if mean_over_classes else elements.sum(dim=-1).mean()
