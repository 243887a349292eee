"""The embedding layer in the basis: its tables folded, its LayerNorm fitted, an ELECTRA's projection fitted."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from pipeline.models.initialise.basis import leading_directions
from pipeline.models.initialise.moments import Moments, ridge
from pipeline.models.initialise.post_norm import (
    Batch,
    copy_linear,
    copy_norm,
    embedding_output,
    embedding_projection,
    word_embedding_output,
)
from pipeline.models.initialise.states import States, fit_norm

TABLES = ("word_embeddings", "position_embeddings", "token_type_embeddings")


def folded_table(table: Tensor, gamma: Tensor, linear: Tensor) -> Tensor:
    """An embedding table in another basis: M(table) diag(gamma) A, where M takes the mean of each row out.

    Args:
        table: (rows, E).
        gamma: of the teacher's embedding LayerNorm, (E,).
        linear: A, from the LayerNorm's output to the student's channels, (E, width).

    Returns:
        (rows, width), float64.
    """
    centred = table.double() - table.double().mean(dim=1, keepdim=True)
    return centred @ (gamma.double()[:, None] * linear)


def fit_embeddings(
    teacher: PreTrainedModel,
    student: PreTrainedModel,
    batches: Sequence[Batch],
    basis: Tensor,
    *,
    penalty: float,
    states: States,
) -> float:
    """Fit the embedding layer, and put what both first layers read into ``states``.

    Args:
        teacher: in eval mode.
        student: in eval mode; its embedding layer is written.
        batches: token ids, masks and perhaps segments.
        basis: B, (d, n), float64.
        penalty: of the ridge regression of a projection.
        states: empty.

    Returns:
        Share of the variance of the teacher's output, in the basis, that is not explained; 0 to 1.
    """
    own, others = embedding_projection(student), embedding_projection(teacher)
    if own is not None and student.config.embedding_size == teacher.config.embedding_size:
        _copy_tables(teacher, student)
        _project_exactly(own, others, basis)
        _start(teacher, student, batches, states)
        return 0.0
    if own is None:
        linear = basis if others is None else others.weight.double().T @ basis
        shift = None if others is None or others.bias is None else others.bias.double() @ basis
        _fold(teacher, student, batches, linear, shift)
        _start(teacher, student, batches, states)
        return fit_norm(cast("Any", student.base_model).embeddings.LayerNorm, states, basis)
    inner = _embedding_basis(teacher, batches, student.config.embedding_size)
    _fold(teacher, student, batches, inner, None)
    narrow = States()
    for batch in batches:
        narrow.append(_mask(batch), word_embedding_output(teacher, batch), word_embedding_output(student, batch))
    fit_norm(cast("Any", student.base_model).embeddings.LayerNorm, narrow, inner)
    moments = Moments(inner.shape[1], basis.shape[1], basis.device)
    for mask, outer, z in narrow.batches():
        target = outer[mask] if others is None else others(outer[mask])
        moments.add(z[mask], target.double() @ basis)
    copy_linear(own, *ridge(moments, penalty))
    _start(teacher, student, batches, states)
    return states.unexplained(basis)


def _copy_tables(teacher: PreTrainedModel, student: PreTrainedModel) -> None:
    own, others = cast("Any", student.base_model).embeddings, cast("Any", teacher.base_model).embeddings
    with torch.no_grad():
        for name in TABLES:
            target = getattr(own, name).weight
            target.copy_(getattr(others, name).weight[: len(target)])
    copy_norm(own.LayerNorm, others.LayerNorm.weight, others.LayerNorm.bias)


def copy_embeddings(
    teacher: PreTrainedModel, student: PreTrainedModel, batches: Sequence[Batch], states: States
) -> None:
    """Copy an embedding layer of the same width, and put what both first layers read into ``states``."""
    _copy_tables(teacher, student)
    own, others = embedding_projection(student), embedding_projection(teacher)
    if own is not None and others is not None:
        copy_linear(own, others.weight, others.bias)
    _start(teacher, student, batches, states)


def _project_exactly(own: nn.Linear, others: nn.Linear | None, basis: Tensor) -> None:
    if others is None:
        copy_linear(own, basis.T, None)
    else:
        copy_linear(own, basis.T @ others.weight.double(), others.bias.double() @ basis)


def _fold(
    teacher: PreTrainedModel, student: PreTrainedModel, batches: Sequence[Batch], linear: Tensor, shift: Tensor | None
) -> None:
    """Write the tables; the student's LayerNorm gets gamma 1 and beta 0.

    What comes after the teacher's division by its standard deviation, its beta and the bias of its projection, goes
    into the token types, which every token has, multiplied by the mean standard deviation.
    """
    own, others = cast("Any", student.base_model).embeddings, cast("Any", teacher.base_model).embeddings
    gamma, beta = others.LayerNorm.weight, others.LayerNorm.bias
    constant = beta.double() @ linear + (0.0 if shift is None else shift)
    with torch.no_grad():
        for name in TABLES:
            target = getattr(own, name).weight
            table = folded_table(getattr(others, name).weight[: len(target)], gamma, linear)
            if name == "token_type_embeddings":
                table = table + _mean_deviation(teacher, batches) * constant
            target.copy_(table)
    copy_norm(own.LayerNorm, 1.0, 0.0)


def _mean_deviation(teacher: PreTrainedModel, batches: Sequence[Batch]) -> float:
    """Mean over tokens of the standard deviation that the teacher's embedding LayerNorm divides by."""
    heard: list[Tensor] = []
    norm = cast("Any", teacher.base_model).embeddings.LayerNorm
    handle = norm.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0]))
    total, count = 0.0, 0
    try:
        for batch in batches:
            word_embedding_output(teacher, batch)
            deviation = heard.pop()[_mask(batch)].double().std(dim=-1, correction=0)
            total, count = total + float(deviation.sum()), count + len(deviation)
    finally:
        handle.remove()
    return total / count


def _embedding_basis(teacher: PreTrainedModel, batches: Sequence[Batch], width: int) -> Tensor:
    """The leading principal directions of the teacher's embeddings, (E, width)."""
    gram: Tensor | None = None
    for batch in batches:
        tokens = word_embedding_output(teacher, batch)[_mask(batch)].double()
        gram = tokens.T @ tokens if gram is None else gram.addmm_(tokens.T, tokens)
    assert gram is not None  # noqa: S101 - there are tokens, or the basis had been refused
    return leading_directions(gram, width)


def _start(teacher: PreTrainedModel, student: PreTrainedModel, batches: Sequence[Batch], states: States) -> None:
    for batch in batches:
        states.append(_mask(batch), embedding_output(teacher, batch), embedding_output(student, batch))


def _mask(batch: Batch) -> Tensor:
    return batch["attention_mask"].bool()
