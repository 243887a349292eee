"""The whole cut: a basis from the teacher's states, then embeddings, layers, projections and head in that order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from transformers import AutoModel, AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel

from pipeline.errors import ModelError
from pipeline.models.initialise.basis import principal_basis
from pipeline.models.initialise.checks import check_cut
from pipeline.models.initialise.climb import Climb, same_attention, same_feed_forward
from pipeline.models.initialise.head import check_head, copy_head, eval_mode, fit_head_to_tokens
from pipeline.models.initialise.post_norm import (
    Batch,
    after_attention,
    after_feed_forward,
    embedding_output,
    layers_of,
)

PENALTY = 1e-3


@dataclass(frozen=True)
class Cut:
    """A student cut out of its teacher, and what belongs to it.

    Attributes:
        model: the student, in eval mode, on the teacher's device; a classifier where a head was asked for.
        basis: B, (d, n), float64, orthonormal columns: a teacher state x is x B in the student.
        embedding_projection: W_e, (d, n), float32: the weight of an nn.Linear(n, d, bias=False).
        hidden_projection: W_h, (d, n), float32, one for all layers.
        explained: share of each teacher state's energy inside the basis, by name: ``embedding``, ``layer 2 attention``,
            ``layer 2`` and so on.
        unexplained: share of the variance, inside the basis, that the student's state misses, by the same names.
    """

    model: PreTrainedModel
    basis: Tensor
    embedding_projection: Tensor
    hidden_projection: Tensor
    explained: Mapping[str, float]
    unexplained: Mapping[str, float]


@torch.no_grad()
def cut(
    teacher: PreTrainedModel,
    student_config: PretrainedConfig,
    batches: Sequence[Batch],
    layers: Sequence[int],
    *,
    head: bool,
    seed: int = 0,
    name: str = "student",
    penalty: float = PENALTY,
    same_width: Literal["copy", "refit"] = "copy",
) -> Cut:
    """Cut a student out of its teacher by least squares on real tokens.

    The same arguments give the same bytes on a CPU. Memory on top of the models is tokens * (d + n) numbers for the
    states at one depth, the moments of one fit, and one batch.

    Args:
        teacher: a post-LayerNorm encoder or classifier; it stays as it is.
        student_config: the student's shape in the teacher's family (``models/students.py`` builds it): no wider and
            no deeper than the teacher, any number of heads, feed-forward units up to the teacher's.
        batches: input_ids, attention_mask (True or 1 for tokens) and perhaps token_type_ids, (batch, length) each, on
            the teacher's device; read several times. 11,000 to 25,000 tokens are enough for a width of 192.
        layers: the 1-based teacher layer that each student layer is cut out of, increasing.
        head: the student gets a classification head, fitted to the teacher's on the same batches.
        seed: of the rotation of the basis, and of rows that nothing determines.
        name: of the student, for messages.
        penalty: of the ridge regressions, relative to the mean variance of their inputs.
        same_width: what happens to a sub-layer of the teacher's own shape in a student of the teacher's width: it is
            copied, or fitted as soon as a layer below was left out or cut.

    Raises:
        ModelError: the student does not fit into the teacher, the family cannot be cut, weights are not finite, there
            are too few tokens for the width, or a head is wanted of a teacher that has none.
    """
    check_cut(name, student_config, teacher.config, layers)
    layers_of(teacher)  # refused here if they are not those of the family
    if head:
        check_head(teacher)
    check_finite(teacher)
    student = _build(student_config, teacher, seed, head=head)
    with eval_mode(teacher):
        grams, tokens = state_grams(teacher, batches, layers)
        _check_tokens(name, student, teacher, tokens)
        basis = principal_basis(grams, student_config.hidden_size, seed)
        climb = Climb(teacher, student, basis.matrix, penalty=penalty, seed=seed, copies=same_width == "copy")
        climb.embeddings(batches)
        for layer in layers:
            climb.layer(layer)
        if climb.exact and tuple(layers) == tuple(range(1, teacher.config.num_hidden_layers + 1)):
            copy_head(student, teacher)
        else:
            fit_head_to_tokens(student, teacher, climb.first_tokens())
    return Cut(student, basis.matrix, *climb.projections(), basis.explained, climb.unexplained)


def check_finite(teacher: PreTrainedModel) -> None:
    """Refuse a teacher with weights that are no numbers.

    Raises:
        ModelError: names the first such weight.
    """
    for weight_name, weight in teacher.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            raise ModelError(
                f"the teacher's weight {weight_name} holds values that are not finite (NaN or infinity): its training "
                "diverged or its file is damaged; take another checkpoint"
            )


def state_grams(
    teacher: PreTrainedModel, batches: Sequence[Batch], layers: Sequence[int]
) -> tuple[dict[str, Tensor], int]:
    """X^T X of the embedding output and of both sub-layers' outputs of some layers, and the number of tokens.

    Args:
        teacher: in eval mode.
        batches: see ``cut``.
        layers: 1-based.

    Returns:
        Matrices (d, d), float64, by the state's name.

    Raises:
        ModelError: the states are not finite, or there are no tokens.
    """
    parts = layers_of(teacher)[: max(layers)]
    names = ["embedding", *(f"layer {layer}{part}" for layer in layers for part in (" attention", ""))]
    width, device = teacher.config.hidden_size, teacher.device
    grams = {name: torch.zeros(width, width, dtype=torch.float64, device=device) for name in names}
    tokens = 0
    for batch in batches:
        mask = batch["attention_mask"].bool()

        def add(name: str, states: Tensor, mask: Tensor = mask) -> None:
            if name in grams:
                real = states[mask].double()
                grams[name].addmm_(real.T, real)

        states = embedding_output(teacher, batch)
        add("embedding", states)
        for number, layer in enumerate(parts, start=1):
            states = after_attention(layer, states, mask)
            add(f"layer {number} attention", states)
            states = after_feed_forward(layer, states)
            add(f"layer {number}", states)
        tokens += int(mask.sum())
    if not tokens:
        raise ModelError("a student cannot be cut out of its teacher without text: give a corpus or rows of the task")
    for name, gram in grams.items():
        if not bool(torch.isfinite(gram).all()):
            raise ModelError(
                f"the teacher's states ({name}) are not finite on the text given: its weights overflow float32; take "
                "another checkpoint"
            )
    return grams, tokens


def _check_tokens(name: str, student: PreTrainedModel, teacher: PreTrainedModel, tokens: int) -> None:
    """Refuse fits of more coefficients an output than there are tokens."""
    own, other, width = layers_of(student)[0], layers_of(teacher)[0], student.config.hidden_size
    fits = not (same_attention(own, other) and same_feed_forward(own, other))
    if fits and tokens < width:
        raise ModelError(
            f"student {name!r} is {width} wide but is to be cut out of {tokens} tokens of text: give at least {width} "
            "tokens (ten thousand are better), or choose a narrower student"
        )


def _build(config: PretrainedConfig, teacher: PreTrainedModel, seed: int, *, head: bool) -> PreTrainedModel:
    if head and config.num_labels != teacher.config.num_labels:
        raise ModelError(
            f"the student has {config.num_labels} outputs, its teacher {teacher.config.num_labels}: build its "
            "configuration from the teacher's"
        )
    factory = AutoModelForSequenceClassification if head else AutoModel
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = factory.from_config(config)
    return model.to(teacher.device).eval()
