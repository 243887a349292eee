"""A layout says how the features of a batch follow one another in a row of numbers.

The order is embedding, hidden states, then query and key of each layer; of each all real tokens, and nothing of
padding. So a batch without padding is used where it was read to, without a copy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.data.feature_table import ALIGNED_BYTES, FeatureTable
from pipeline.distillation.features import Attention, Features

Batch = Mapping[str, Tensor]
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(frozen=True)
class Layout:
    """Shapes of one token's features.

    Attributes:
        states: width of the embedding, then of each hidden state.
        attention: (heads, d_head) of each layer's query, then key; empty without attention.
    """

    states: tuple[int, ...]
    attention: tuple[tuple[int, int], ...] = ()

    @property
    def width(self) -> int:
        """Numbers a token."""
        return sum(self.states) + sum(prod(shape) for shape in self.attention)

    @classmethod
    def of(cls, features: Features) -> "Layout":
        """The layout of what a teacher hands out."""
        states = (features.embedding, *features.hidden_states)
        factors = [factor for pair in features.attention for factor in pair]
        return cls(tuple(s.shape[-1] for s in states), tuple((f.shape[1], f.shape[3]) for f in factors))

    def pack(self, features: Features, mask: Tensor) -> NDArray[np.float32]:
        """Numbers of the real tokens, (tokens x width,).

        Args:
            features: of a batch.
            mask: (batch, length), True for tokens.
        """
        states = (features.embedding, *features.hidden_states)
        factors = [factor.transpose(1, 2).flatten(2) for pair in features.attention for factor in pair]
        return torch.cat([tensor[mask].float().flatten() for tensor in (*states, *factors)]).cpu().numpy()

    def unpack(self, numbers: NDArray[np.float32], mask: Tensor) -> Features:
        """The features of a batch on the device of its mask; padded positions are zero.

        Every tensor has the strides that a model's own has: what is computed from it is the same to the last bit.
        """
        values = torch.from_numpy(numbers).to(mask.device)
        tokens = len(numbers) // self.width
        widths = [*self.states, *(prod(shape) for shape in self.attention)]
        parts = [part.view(tokens, -1) for part in values.split([tokens * width for width in widths])]
        if tokens == mask.numel():
            columns = [_whole(part, mask) for part in parts]
        else:
            places = mask.flatten().nonzero().squeeze(1)
            columns = [_scattered(part, places, mask) for part in parts]
        embedding, *hidden = columns[: len(self.states)]
        factors = [
            column.unflatten(2, shape).transpose(1, 2)
            for column, shape in zip(columns[len(self.states) :], self.attention, strict=True)
        ]
        pairs = zip(factors[::2], factors[1::2], strict=True)
        return Features(embedding, tuple(hidden), tuple(Attention(query, key) for query, key in pairs))


@dataclass(frozen=True)
class KeptFeatures:
    """Features of batches on disk; given back for the very inputs only that they were made from.

    Attributes:
        layout: of a token.
        table: where the rows are.
    """

    layout: Layout
    table: FeatureTable

    def read(self, number: int, batch: Batch) -> Features | None:
        """Features of a batch by its number, or None if they are not there whole."""
        numbers = self.table.read(number, _input_bytes(batch))
        return None if numbers is None else self.layout.unpack(numbers, batch["attention_mask"])

    def write(self, number: int, features: Features, batch: Batch) -> None:
        """Keep the features of a batch; raises ``OSError`` if the disk refuses."""
        self.table.write(number, self.layout.pack(features, batch["attention_mask"]), _input_bytes(batch))


def _input_bytes(batch: Batch) -> bytes:
    """What a model is told of a batch, padding included, as bytes that differ when it does."""
    arrays = [(name, batch[name].cpu().numpy()) for name in INPUTS if name in batch]
    return b"".join(f"{name}{array.shape}".encode() + array.tobytes() for name, array in arrays)


def _whole(part: Tensor, mask: Tensor) -> Tensor:
    """(tokens, d) of a batch without padding, (batch, length, d)."""
    own = part if part.data_ptr() % ALIGNED_BYTES == 0 else part.clone()
    return own.view(*mask.shape, part.shape[1])


def _scattered(part: Tensor, places: Tensor, mask: Tensor) -> Tensor:
    """(tokens, d) put where the real tokens are, (batch, length, d)."""
    out = part.new_zeros(mask.numel(), part.shape[1])
    return out.index_copy_(0, places, part).view(*mask.shape, part.shape[1])
