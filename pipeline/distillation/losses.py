"""The TinyBERT losses as pure functions of tensors (Jiao et al. 2020, arXiv:1909.10351, section 3.1).

Means run over real tokens: padding neither adds to a loss nor dilutes it, so a row's loss does not
depend on the rows it happens to be batched with. Everything is computed in float32 at least, whatever
precision the models run in.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.distillation.features import Attention

# Below this length the score matrices are smaller than the detour around them.
GRAM_FROM_LENGTH = 112


def masked_mse(student: Tensor, teacher: Tensor, mask: Tensor | None) -> Tensor:
    """Mean squared error over real tokens: L = MSE(H_S W, H_T) (equations 8 and 9).

    Args:
        student: (batch, length, d), already projected to the teacher's width.
        teacher: (batch, length, d), no grad.
        mask: (batch, length), True for tokens; None counts every position.

    Returns:
        Scalar, float32 (float64 for float64 inputs).
    """
    squared = (_precise(student) - _precise(teacher)).square()
    if mask is None:
        return squared.mean()
    # A product, not an index: its cost does not depend on where the padding is.
    return (squared * mask.unsqueeze(-1)).sum() / (mask.sum() * squared.shape[-1])


def attention_score_loss(
    student: Attention, teacher: Attention, mask: Tensor, *, count_padding: bool = False
) -> Tensor:
    """Mean squared error between attention scores, padding excluded.

    L_attn = (1/h) sum_i MSE(A_i^S, A_i^T)    (equation 7)

    Scores are taken before softmax: A = QK^T / sqrt(d_k), dimensionless. Short sequences take the
    score matrices themselves, long ones the Gram form, which is equal and linear in the length.

    Args:
        student: query and key, each (batch, heads, length, d_student).
        teacher: query and key, each (batch, heads, length, d_teacher), no grad.
        mask: (batch, length), True for tokens, False for padding.
        count_padding: padded queries contribute and every position counts in the mean, as in the
            released code; padded keys are zero in either case.

    Returns:
        Scalar, float32. Without padding it equals ``F.mse_loss`` of the scores.

    Raises:
        ValueError: the head counts differ; names both and the way out.
    """
    heads, length = student.query.shape[1], student.query.shape[2]
    if heads != teacher.query.shape[1]:
        msg = (
            f"teacher has {teacher.query.shape[1]} attention heads, student {heads}: "
            f"choose a student with {teacher.query.shape[1]} heads"
        )
        raise ValueError(msg)
    total_error = gram_score_error if length >= GRAM_FROM_LENGTH else direct_score_error
    keys = mask
    queries = torch.ones_like(mask) if count_padding else mask
    if count_padding:
        pairs = mask.new_tensor(mask.shape[0] * length * length, dtype=torch.float32)
    else:
        pairs = mask.sum(dim=1, dtype=torch.float32).square().sum()
    # Autocast would run these products in half precision, which cannot hold differences of scores.
    with torch.autocast(student.query.device.type, enabled=False):
        return total_error(student, teacher, queries, keys) / (pairs * heads)


def direct_score_error(student: Attention, teacher: Attention, queries: Tensor, keys: Tensor) -> Tensor:
    """Sum of squared score differences, from the score matrices; memory grows with length squared."""
    difference = _scores(student) - _scores(teacher)
    valid = queries[:, None, :, None] & keys[:, None, None, :]
    return (difference * valid).square().sum()


def gram_score_error(student: Attention, teacher: Attention, queries: Tensor, keys: Tensor) -> Tensor:
    """Sum of squared score differences in memory linear in the length.

    With X = [Q_S / sqrt(d_S), -Q_T / sqrt(d_T)] and Y = [K_S, K_T] joined on the head dimension,
    S - T = X Y^T, hence ||S - T||_F^2 = <X^T X, Y^T Y>: no length x length matrix.
    """
    x = torch.cat((_scaled(student.query), -_scaled(teacher.query)), dim=-1)
    y = torch.cat((_precise(student.key), _precise(teacher.key)), dim=-1)
    x = x * queries[:, None, :, None]
    y = y * keys[:, None, :, None]
    return (x.transpose(-1, -2) @ x).mul(y.transpose(-1, -2) @ y).sum()


def soft_cross_entropy(
    student_logits: Tensor,
    teacher_logits: Tensor,
    temperature: float = 1.0,
    *,
    mean_over_classes: bool = False,
) -> Tensor:
    """Cross-entropy with the teacher's softened distribution: CE(z_T / t, z_S / t) (equation 10).

    Args:
        student_logits: (batch, classes).
        teacher_logits: (batch, classes), no grad.
        temperature: t > 0.
        mean_over_classes: divide by the number of classes as well, as the released code does.

    Returns:
        Scalar, float32: the mean over rows.
    """
    target = F.softmax(_precise(teacher_logits) / temperature, dim=-1)
    log_probability = F.log_softmax(_precise(student_logits) / temperature, dim=-1)
    elements = -target * log_probability
    return elements.mean() if mean_over_classes else elements.sum(dim=-1).mean()


def _precise(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _scaled(query: Tensor) -> Tensor:
    return _precise(query) * query.shape[-1] ** -0.5


def _scores(attention: Attention) -> Tensor:
    return _scaled(attention.query) @ _precise(attention.key).transpose(-1, -2)
