"""The way up: teacher and student advance side by side, and each part of the student is fitted when it is reached.

Every fit takes the student's own state as its input, so errors below are corrected on the way up and layers that were
left out are absorbed.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from pipeline.models.initialise.attention import fit_attention
from pipeline.models.initialise.embeddings import copy_embeddings, fit_embeddings
from pipeline.models.initialise.feed_forward import fit_feed_forward
from pipeline.models.initialise.moments import projection_towards
from pipeline.models.initialise.post_norm import Batch, Layer, after_attention, after_feed_forward, layers_of
from pipeline.models.initialise.states import States

# The projections are determined by the tokens; the basis decides where these say nothing.
PROJECTION_PENALTY = 1e-6
ATTENTION = ("query", "key", "value", "attention_out", "attention_norm")
FEED_FORWARD = ("up", "down", "output_norm")


class Climb:
    """Fits the parts of a student from the bottom to the top.

    Args:
        teacher: in eval mode.
        student: in eval mode; it is written.
        basis: B, (d, n), float64.
        penalty: of the ridge regressions.
        seed: of rows that nothing determines.
        copies: a sub-layer of the teacher's own shape is copied always; otherwise only while both models read the
            same states.

    Attributes:
        exact: whether the student's states are the teacher's own: nothing was cut and nothing left out so far.
        unexplained: share of the variance, inside the basis, that the student's states miss, by the state's name.
    """

    def __init__(
        self,
        teacher: PreTrainedModel,
        student: PreTrainedModel,
        basis: Tensor,
        *,
        penalty: float,
        seed: int,
        copies: bool,
    ) -> None:
        self.teacher, self.student, self.basis = teacher, student, basis
        self.penalty, self.copies = penalty, copies
        self.unexplained: dict[str, float] = {}
        own, others = (getattr(model.config, "embedding_size", 0) for model in (student, teacher))
        self.exact = basis.shape[0] == basis.shape[1] and own == others
        self._states = States()
        self._generator = torch.Generator().manual_seed(seed)
        self._others = layers_of(teacher)
        self._own = iter(layers_of(student))
        self._depth = 0  # layers of the teacher behind us
        d, n = basis.shape
        self._embedding, self._hidden = ((basis.new_zeros(n, n), basis.new_zeros(n, d)) for _ in range(2))

    def embeddings(self, batches: Sequence[Batch]) -> None:
        """Fit the embedding layer; the climb begins behind it."""
        if self.exact:
            copy_embeddings(self.teacher, self.student, batches, self._states)
            self.unexplained["embedding"] = 0.0
        else:
            self.unexplained["embedding"] = fit_embeddings(
                self.teacher, self.student, batches, self.basis, penalty=self.penalty, states=self._states
            )
        self._add_products(self._embedding)

    def layer(self, number: int) -> None:
        """Fit the student's next layer to a layer of the teacher, 1-based and higher than the last one."""
        for skipped in self._others[self._depth : number - 1]:
            self.exact = False
            self._states.advance_teacher(partial(_after_layer, skipped))
        self._depth = number
        own, other = next(self._own), self._others[number - 1]
        self.unexplained[f"layer {number} attention"] = self._attention(own, other)
        self.unexplained[f"layer {number}"] = self._feed_forward(own, other)
        self._add_products(self._hidden)

    def first_tokens(self) -> list[tuple[Tensor, Tensor]]:
        """Take both models to their tops, and keep of their last states those of each row's first token.

        Returns:
            For each batch the student's (rows, n) and the teacher's (rows, d).
        """
        for above in self._others[self._depth :]:
            self._states.advance_teacher(partial(_after_layer, above))
        # Copies: a view would keep the states of all tokens.
        first = [(student[:, 0].clone(), teacher[:, 0].clone()) for _, teacher, student in self._states.batches()]
        self._states = States()
        return first

    def projections(self) -> tuple[Tensor, Tensor]:
        """W_e and W_h, from the student's states back to the teacher's, (d, n) each, float32."""
        embedding, hidden = (
            projection_towards(xx, xy, self.basis, PROJECTION_PENALTY).float()
            for xx, xy in (self._embedding, self._hidden)
        )
        return embedding, hidden

    def _attention(self, own: Layer, other: Layer) -> float:
        states = self._states
        if same_attention(own, other) and (self.exact or self.copies):
            _copy(own, other, ATTENTION)
            states.advance_teacher(lambda x, mask: after_attention(other, x, mask))
            states.advance_student(lambda x, mask: after_attention(own, x, mask))
            return self._missed()
        missed = fit_attention(
            *(other, own, states, self.basis),
            penalty=self.penalty,
            same_input=self.exact,
            generator=self._generator,
        )
        self.exact = False
        return missed

    def _feed_forward(self, own: Layer, other: Layer) -> float:
        states = self._states
        if same_feed_forward(own, other) and (self.exact or self.copies):
            _copy(own, other, FEED_FORWARD)
            states.advance_teacher(lambda a, _: after_feed_forward(other, a))
            states.advance_student(lambda a, _: after_feed_forward(own, a))
            return self._missed()
        missed = fit_feed_forward(other, own, states, self.basis, penalty=self.penalty, same_input=self.exact)
        self.exact = False
        return missed

    def _missed(self) -> float:
        return 0.0 if self.exact else self._states.unexplained(self.basis)

    def _add_products(self, sums: tuple[Tensor, Tensor]) -> None:
        for mask, teacher, student in self._states.batches():
            z = student[mask].double()
            sums[0].addmm_(z.T, z)
            sums[1].addmm_(z.T, teacher[mask].double())


def _after_layer(layer: Layer, states: Tensor, mask: Tensor) -> Tensor:
    return after_feed_forward(layer, after_attention(layer, states, mask))


def same_attention(own: Layer, other: Layer) -> bool:
    """Whether two attention sub-layers have the same shape."""
    return own.heads == other.heads and own.query.weight.shape == other.query.weight.shape


def same_feed_forward(own: Layer, other: Layer) -> bool:
    """Whether two feed-forward sub-layers have the same shape."""
    return own.up.weight.shape == other.up.weight.shape


def _copy(own: Layer, other: Layer, parts: Sequence[str]) -> None:
    for name in parts:
        target, source = (cast("nn.Module", getattr(layer, name)) for layer in (own, other))
        weights: Mapping[str, Tensor] = source.state_dict()
        target.load_state_dict(weights)
