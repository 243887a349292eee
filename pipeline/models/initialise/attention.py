"""Attention heads of another width and number: fitted to the student's states, then cut to the best low rank."""

from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.models.initialise.moments import Affine, Moments, ResidualMoments, fit_residual, ridge
from pipeline.models.initialise.post_norm import (
    Layer,
    after_attention,
    attend,
    context_of,
    copy_linear,
    copy_norm,
    split_heads,
)
from pipeline.models.initialise.states import States, fit_norm

SMALLEST_VARIANCE = 1e-12  # of a direction, relative to the largest; what is below has no inverse


class HeadMoments(NamedTuple):
    """Second moments of all heads' outputs before W_o, over the tokens.

    Attributes:
        moment: E[ctx ctx^T], (heads, d_head, d_head).
        covariance: the same about the mean.
    """

    moment: Tensor
    covariance: Tensor


def root_and_inverse(moment: Tensor) -> tuple[Tensor, Tensor]:
    """C^(1/2) and the pseudo-inverse C^(-1/2) of a symmetric, positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh(moment)
    kept = values > SMALLEST_VARIANCE * values[-1].clamp_min(torch.finfo(values.dtype).tiny)
    roots = values.clamp_min(0).sqrt()
    inverse = torch.where(kept, roots, 1).reciprocal() * kept
    return (vectors * roots) @ vectors.T, (vectors * inverse) @ vectors.T


def score_factors(query_moment: Tensor, key_moment: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The narrower queries P_q q and keys P_k k whose scores are closest to q^T k / sqrt(d_head).

    The mean squared difference over all pairs of tokens is the smallest that any rank allows: with
    C_q^(1/2) C_k^(1/2) = A S D^T,

        P_q = c S_r^(1/2) A_r^T C_q^(-1/2),   P_k = c S_r^(1/2) D_r^T C_k^(-1/2),   c = (width / d_head)^(1/4)

    c makes up for the student dividing by the root of its own head width.

    Args:
        query_moment: C_q = E[q q^T], (d_head, d_head), float64.
        key_moment: C_k = E[k k^T], (d_head, d_head), float64.
        width: of the student's head; the rank is r = min(width, d_head).

    Returns:
        P_q and P_k, (r, d_head) each.
    """
    own = len(query_moment)
    rank = min(width, own)
    (query_root, query_inverse), (key_root, key_inverse) = map(root_and_inverse, (query_moment, key_moment))
    left, strengths, right = torch.linalg.svd(query_root @ key_root)
    factor = (width / own) ** 0.25 * strengths[:rank].sqrt()[:, None]
    return factor * (left[:, :rank].T @ query_inverse), factor * (right[:rank] @ key_inverse)


def value_factor(output: Tensor, moment: Tensor, width: int) -> Tensor:
    """The narrower values P_v v that keep most of what a head writes into the residual stream.

    Args:
        output: the head's part of B^T W_o, (n, d_head).
        moment: C = E[ctx ctx^T] of the head's output, (d_head, d_head), float64.
        width: of the student's head; the rank is r = min(width, d_head, n).

    Returns:
        P_v = D_r^T C^(-1/2), (r, d_head), with output C^(1/2) = A S D^T.
    """
    root, inverse = root_and_inverse(moment)
    _, _, right = torch.linalg.svd(output @ root, full_matrices=False)
    return right[: min(width, len(moment))] @ inverse


def most_important_heads(output: Tensor, covariance: Tensor, count: int) -> list[int]:
    """The heads that move the residual stream most, in the teacher's order.

    Args:
        output: B^T W_o of each head, (heads, n, d_head).
        covariance: of each head's output about its mean, (heads, d_head, d_head): a constant is left to the bias.
        count: heads to keep; all where there are no more.
    """
    energy = torch.einsum("hnd,hde,hne->h", output, covariance, output)
    order = torch.sort(energy, descending=True, stable=True).indices
    return sorted(int(head) for head in order[:count])


def fit_attention(
    teacher: Layer,
    student: Layer,
    states: States,
    basis: Tensor,
    *,
    penalty: float,
    same_input: bool,
    generator: torch.Generator,
) -> float:
    """Fit an attention sub-layer, and move teacher and student behind it.

    Args:
        teacher: the layer that is imitated.
        student: the layer that is written.
        states: what both layers read; afterwards what their attention sub-layers give.
        basis: B, (d, n), float64.
        penalty: of the ridge regressions.
        same_input: both models read the same states, so the teacher's own weights need no fit.
        generator: of the rows that a wider or an additional head needs.

    Returns:
        Share of the variance of the teacher's output, in the basis, that is not explained; 0 to 1.
    """
    fits, moments = _fit_projections(teacher, states, penalty, same_input=same_input)
    width = student.query.out_features // student.heads
    factors = [score_factors(*pair, width) for pair in _second_moments(fits, moments, teacher.heads)]
    heads = _head_moments(fits, factors, states, teacher.heads, width)
    output = basis.T @ teacher.attention_out.weight.double()
    output = output.unflatten(1, (teacher.heads, -1)).transpose(0, 1)
    kept = most_important_heads(output, heads.covariance, student.heads)
    values = [value_factor(output[head], heads.moment[head], width) for head in kept]
    _write(student, fits, [factors[head] for head in kept], values, kept, teacher.heads, generator)
    states.advance_teacher(lambda x, mask: after_attention(teacher, x, mask))
    residual = ResidualMoments(student.attention_out.in_features, basis.shape[1], states.device)
    for mask, target, x in states.batches():
        residual.add_tokens(context_of(student, x, mask)[mask], target[mask].double() @ basis, x[mask])
    copy_linear(student.attention_out, *fit_residual(residual, penalty))
    copy_norm(student.attention_norm, 1.0, 0.0)
    states.advance_student(lambda x, mask: after_attention(student, x, mask))
    return fit_norm(student.attention_norm, states, basis)


def _fit_projections(
    teacher: Layer, states: States, penalty: float, *, same_input: bool
) -> tuple[tuple[Affine, ...], Moments]:
    """Query, key and value of the teacher as functions of the student's states, and the moments of those."""
    parts = (teacher.query, teacher.key, teacher.value)
    width = teacher.query.out_features
    moments = Moments(states.student[0].shape[-1], 3 * width, states.device)
    for mask, x, z in states.batches():
        tokens = x[mask]
        moments.add(z[mask], torch.cat([part(tokens) for part in parts], dim=-1))
    if same_input:
        return tuple(Affine(part.weight.double(), part.bias.double()) for part in parts), moments
    weight, bias = ridge(moments, penalty)
    return tuple(Affine(weight[i * width :][:width], bias[i * width :][:width]) for i in range(3)), moments


def _second_moments(fits: tuple[Affine, ...], moments: Moments, heads: int) -> list[tuple[Tensor, Tensor]]:
    """E[q q^T] and E[k k^T] of each head's fitted queries and keys."""
    gram, mean = moments.xx / moments.count, moments.x_sum / moments.count
    of_both = []
    for weight, bias in fits[:2]:
        of_heads = []
        for rows, shift in zip(weight.chunk(heads), bias.chunk(heads), strict=True):
            cross = torch.outer(rows @ mean, shift)
            of_heads.append(rows @ gram @ rows.T + cross + cross.T + torch.outer(shift, shift))
        of_both.append(of_heads)
    return list(zip(*of_both, strict=True))


def _head_moments(
    fits: tuple[Affine, ...], factors: list[tuple[Tensor, Tensor]], states: States, heads: int, width: int
) -> HeadMoments:
    """What all the teacher's heads give with the student's attention and the fitted values at full width."""
    dtype = states.student[0].dtype
    query, key = (
        Affine(*(torch.cat([p[side] @ part for p, part in zip(factors, of.chunk(heads), strict=True)]) for of in fit))
        for side, fit in enumerate(fits[:2])
    )
    maps = [(fit.weight.to(dtype), fit.bias.to(dtype)) for fit in (query, key, fits[2])]
    own = fits[2].weight.shape[0] // heads
    total = torch.zeros(heads, own, own, dtype=torch.float64, device=states.device)
    mean, count = torch.zeros(heads, own, dtype=torch.float64, device=states.device), 0
    for mask, _, z in states.batches():
        q, k, v = (split_heads(z @ weight.T + bias, heads) for weight, bias in maps)
        context = attend(q, k, v, mask, width**-0.5)[mask].double().unflatten(-1, (heads, own)).transpose(0, 1)
        total += context.mT @ context
        mean += context.sum(dim=1)
        count += context.shape[1]
    mean = mean / count
    return HeadMoments(total / count, total / count - mean[:, :, None] * mean[:, None, :])


def _write(
    student: Layer,
    fits: tuple[Affine, ...],
    factors: list[tuple[Tensor, Tensor]],
    values: list[Tensor],
    kept: list[int],
    heads: int,
    generator: torch.Generator,
) -> None:
    """Write query, key and value of the student's heads.

    A head that is wider than the rank of what it replaces, or that replaces none, has rows to spare. In the key they
    are zero and in the query random: scores stay as they are, and yet the rows can learn, which zeros on both sides
    never would. In the value they are random: the fit of W_o that follows takes from them what helps. Random rows are
    mixtures of the rows of all the teacher's heads, so they do not depend on the order of channels.
    """
    width = student.query.out_features // student.heads
    maps = [[factor[0] for factor in factors], [factor[1] for factor in factors], values]
    for index, (part, fit) in enumerate(zip((student.query, student.key, student.value), fits, strict=True)):
        rows, shifts = fit.weight.chunk(heads), fit.bias.chunk(heads)
        blocks = [(narrow @ rows[head], narrow @ shifts[head]) for narrow, head in zip(maps[index], kept, strict=True)]
        size = torch.cat([block for block, _ in blocks]).norm(dim=1).mean()
        mixture = torch.randn(part.out_features, len(fit.bias), generator=generator, dtype=torch.float64)
        weight, bias = (mixture.to(size.device) @ of_all for of_all in fit)
        factor = 0 * size if part is student.key else size / weight.norm(dim=1)
        weight, bias = (weight.T * factor).T, bias * factor
        for place, (block, shift) in enumerate(blocks):
            weight[place * width :][: len(block)] = block
            bias[place * width :][: len(shift)] = shift
        copy_linear(part, weight, bias)
