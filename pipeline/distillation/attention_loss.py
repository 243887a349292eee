"""The attention-score loss (Jiao et al. 2020, arXiv:1909.10351, equation 7) in two forms that are equal.

The direct form takes the score matrices and is the cheaper one for short sequences; the Gram form never
makes a length x length matrix. Either computes its gradient along with its value, so that nothing but the
gradient itself, two tensors of the size of the student's factors, waits for the backward pass.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pipeline.distillation.precision import precise

# The Gram form from this length on, in units of the two head widths together. Measured by
# benchmarks/attention_loss.py (torch 2.13, one thread of a Xeon with AVX-512, float32, 4,096 tokens).
GRAM_FROM = 1.4


class Attention(NamedTuple):
    """The two factors of one layer's attention scores, each (batch, heads, length, d_head)."""

    query: Tensor
    key: Tensor


def takes_gram(length: int, student_width: int, teacher_width: int) -> bool:
    """Whether the Gram form is the cheaper one.

    Arithmetic grows with length^2 (d_S + d_T) in the direct form and with length (d_S + d_T)^2 in the
    Gram form, so the length at which they meet grows with the widths.

    Args:
        length: of the padded batch.
        student_width: d_S, of one of the student's heads.
        teacher_width: d_T, of one of the teacher's heads.
    """
    return length >= GRAM_FROM * (student_width + teacher_width)


def attention_score_loss(
    student: Attention,
    teacher: Attention,
    mask: Tensor,
    *,
    count_padding: bool = False,
    count: float | None = None,
    window: int | None = None,
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
        count: pairs of positions to divide by, where these rows are a part of a larger batch; None
            counts those at hand.
        window: tokens that a layer with local attention sees on either side of a token; scores further off are
            never used by the model, so they are not compared. None compares all.

    Returns:
        Scalar, float32 (float64 for float64 inputs). Without padding it equals ``F.mse_loss`` of the scores.

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
    if window is not None and window >= length - 1:
        window = None
    # A band of the score matrix has no Gram form.
    gram = window is None and takes_gram(length, student.query.shape[-1], teacher.query.shape[-1])
    pairs: Tensor | float
    if count is not None:
        pairs = count
    elif window is not None:
        queries = torch.ones_like(mask) if count_padding else mask
        keys = torch.ones_like(mask) if count_padding else mask
        pairs = _valid(queries, keys, window).sum(dtype=torch.float32)
    elif count_padding:
        pairs = float(mask.shape[0] * length * length)
    else:
        pairs = mask.sum(dim=1, dtype=torch.float32).square().sum()
    error = score_error(student, teacher, mask, count_padding=count_padding, gram=gram, window=window)
    return error / (pairs * heads)


def score_error(
    student: Attention,
    teacher: Attention,
    mask: Tensor,
    *,
    count_padding: bool = False,
    gram: bool,
    window: int | None = None,
) -> Tensor:
    """Sum of squared score differences, ||S - T||^2, over the valid queries and keys of all heads.

    Only the student's factors receive gradients, and those none of their own.

    Args:
        student: query and key, each (batch, heads, length, d_student).
        teacher: query and key, each (batch, heads, length, d_teacher).
        mask: (batch, length), True for tokens: the keys that count, and the queries.
        count_padding: every query counts.
        gram: take the Gram form. In float32 its value is within 1e-6 max(1, ||T||^2 / ||S - T||^2) of the
            truth, relatively, and never negative, its gradient within 2e-6 max(1, ||T|| / ||S - T||); the
            direct form's gradient is about five times closer, its value within 1e-5 (measured at widths 32
            and 64, lengths 160 and 512).
        window: compare no scores further off than this; the direct form alone can.

    Returns:
        Scalar, float32 (float64 for float64 inputs).
    """
    # Autocast would run these products in half precision, which cannot hold differences of scores.
    with torch.autocast(student.query.device.type, enabled=False):
        return _ScoreError.apply(*student, *teacher, mask, count_padding, gram, window)


class _ScoreError(torch.autograd.Function):
    """The value with its gradient: a scalar's gradient is known up to the factor that comes back to it."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        teacher_query: Tensor,
        teacher_key: Tensor,
        mask: Tensor,
        count_padding: bool,
        gram: bool,
        window: int | None,
    ) -> Tensor:
        queries = torch.ones_like(mask) if count_padding else mask
        factors = query, key, teacher_query, teacher_key
        if gram:
            error, query_grad, key_grad = _gram(*factors, queries, mask)
        else:
            error, query_grad, key_grad = _direct(*factors, _valid(queries, mask, window))
        ctx.save_for_backward(query_grad.view(query.shape), key_grad.view(key.shape))
        ctx.dtypes = query.dtype, key.dtype
        ctx.width = query.shape[-1]
        return error / ctx.width

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        factor = grad * (2 / ctx.width)
        gradients = ((saved * factor).to(dtype) for saved, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True))
        return (*gradients, None, None, None, None, None, None)


# Both forms work on sqrt(d_S) (S - T) = q k^T - c Q K^T with c = sqrt(d_S / d_T), and return its squared
# norm and half the gradients of that with respect to q and k, each (batch * heads, length, d_S).


def _direct(
    query: Tensor, key: Tensor, teacher_query: Tensor, teacher_key: Tensor, valid: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    batch, heads, length, width = query.shape
    c = (width / teacher_query.shape[-1]) ** 0.5
    q, k, teacher_q, teacher_k = (precise(x).flatten(0, 1) for x in (query, key, teacher_query, teacher_key))
    difference = (q @ k.mT).baddbmm_(teacher_q, teacher_k.mT, alpha=-c)
    difference.view(batch, heads, length, length).mul_(valid.to(difference.dtype))
    return difference.square().sum(), difference @ k, difference.mT @ q


def _valid(queries: Tensor, keys: Tensor, window: int | None) -> Tensor:
    """(batch, 1, length, length), True for the pairs of a query and a key that are compared."""
    valid = queries[:, None, :, None] & keys[:, None, None, :]
    if window is None:
        return valid
    places = torch.arange(queries.shape[1], device=queries.device)
    return valid & ((places[:, None] - places).abs() <= window)


def _gram(
    query: Tensor, key: Tensor, teacher_query: Tensor, teacher_key: Tensor, queries: Tensor, keys: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    # With X = [q, Q], Y = [k, K] and W = diag(1, -c), S - T = X W Y^T: its squared norm is
    # <W X^T X W, Y^T Y>, its product with k is X W (Y^T k). Nothing asks for the Gram matrix of both models
    # in full: the student's columns serve value and gradient, the teacher's own block the value.
    width = query.shape[-1]
    c = (width / teacher_query.shape[-1]) ** 0.5
    x, y = _joined(query, teacher_query, queries), _joined(key, teacher_key, keys)
    gram_x, gram_y = (z.mT @ z[..., :width] for z in (x, y))
    teacher_x, teacher_y = (z[..., width:].mT @ z[..., width:] for z in (x, y))
    products = (gram_x * gram_y).sum(dim=(0, 2))
    error = products[:width].sum() - 2 * c * products[width:].sum() + c * c * (teacher_x * teacher_y).sum()
    for gram in (gram_x, gram_y):
        gram[:, width:] *= -c
    return error.clamp_min(0), x @ gram_y, y @ gram_x


def _joined(student: Tensor, teacher: Tensor, rows: Tensor) -> Tensor:
    """Both models' factors side by side, (batch * heads, length, d_S + d_T), zero in the rows that do not count."""
    joined = precise(torch.cat((student, teacher), dim=-1))
    return joined.mul_(rows[:, None, :, None].to(joined.dtype)).flatten(0, 1)
