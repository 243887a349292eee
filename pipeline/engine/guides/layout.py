"""A layout says how the features of a batch follow one another in a row of numbers.

The taps follow one another in sorted order; of each all real tokens, and nothing of padding. So a batch without
padding is used where it was read to, without a copy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.data.tokens.feature_table import ALIGNED_BYTES, FeatureTable
from pipeline.features import Seen, Tap

Batch = Mapping[str, Tensor]
FACTORS = ("query", "key")
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class Column(NamedTuple):
    """One tap of a token: ``shape`` is (d,) of a hidden state, (heads, d_head) of a query or key."""

    tap: Tap
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """Which taps of a token are stored, one after another, and in what shapes."""

    columns: tuple[Column, ...]

    @property
    def width(self) -> int:
        """Numbers a token."""
        return sum(prod(column.shape) for column in self.columns)

    @classmethod
    def of(cls, seen: Seen) -> "Layout":
        """The layout of what a teacher shows, its taps sorted."""
        return cls(tuple(Column(tap, _shape(tap, seen[tap])) for tap in sorted(seen)))

    @classmethod
    def from_json(cls, columns: list[Any]) -> "Layout":
        """The layout that ``to_json`` wrote; raises ``ValueError`` or ``TypeError`` for anything else."""
        return cls(tuple(Column(Tap(*tap), tuple(shape)) for tap, shape in columns))

    def to_json(self) -> list[Any]:
        """The columns as plain lists."""
        return [[list(column.tap), list(column.shape)] for column in self.columns]

    def pack(self, seen: Seen, mask: Tensor) -> NDArray[np.float32]:
        """Numbers of the real tokens, (tokens x width,).

        Args:
            seen: the taps of a batch.
            mask: (batch, length), True for tokens.
        """
        by_token = [
            seen[column.tap].transpose(1, 2).flatten(2) if column.tap.what in FACTORS else seen[column.tap]
            for column in self.columns
        ]
        return torch.cat([tensor[mask].float().flatten() for tensor in by_token]).cpu().numpy()

    def unpack(self, numbers: NDArray[np.float32], mask: Tensor) -> Seen:
        """The taps of a batch on the device of its mask; padded positions are zero.

        Every tensor has the strides that a model's own has: what is computed from it is the same to the last bit.
        """
        values = torch.from_numpy(numbers).to(mask.device)
        tokens = len(numbers) // self.width
        widths = [prod(column.shape) for column in self.columns]
        parts = [part.view(tokens, -1) for part in values.split([tokens * width for width in widths])]
        if tokens == mask.numel():
            whole = [_whole(part, mask) for part in parts]
        else:
            places = mask.flatten().nonzero().squeeze(1)
            whole = [_scattered(part, places, mask) for part in parts]
        return {
            column.tap: tensor.unflatten(2, column.shape).transpose(1, 2) if column.tap.what in FACTORS else tensor
            for column, tensor in zip(self.columns, whole, strict=True)
        }


def _shape(tap: Tap, tensor: Tensor) -> tuple[int, ...]:
    return (tensor.shape[1], tensor.shape[3]) if tap.what in FACTORS else (tensor.shape[-1],)


@dataclass(frozen=True)
class KeptFeatures:
    """Features of batches on disk; given back for the very inputs only that they were made from.

    Attributes:
        layout: of a token.
        table: where the rows are.
    """

    layout: Layout
    table: FeatureTable

    def read(self, number: int, batch: Batch) -> Seen | None:
        """Features of a batch by its number, or None if they are not there whole."""
        numbers = self.table.read(number, _input_bytes(batch))
        return None if numbers is None else self.layout.unpack(numbers, batch["attention_mask"])

    def write(self, number: int, seen: Seen, batch: Batch) -> None:
        """Keep the features of a batch; raises ``OSError`` if the disk refuses."""
        self.table.write(number, self.layout.pack(seen, batch["attention_mask"]), _input_bytes(batch))


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
