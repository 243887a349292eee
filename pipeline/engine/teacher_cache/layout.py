"""How the features of a batch are laid out as one array of float32 numbers.

Taps in sorted order; for each tap all real tokens of the batch, padding left out. So the features of a batch
without padding are used in the memory they were read into, without a copy.
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
    """One tap: ``shape`` is its shape for one token, (d,) for a hidden state, (heads, d_head) for a query or key."""

    tap: Tap
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """The stored taps, in order, with their shapes for one token."""

    columns: tuple[Column, ...]

    @property
    def width(self) -> int:
        """Number of float32 values stored for one token."""
        return sum(prod(column.shape) for column in self.columns)

    @classmethod
    def of(cls, seen: Seen) -> "Layout":
        """Return the layout of a teacher's features, taps sorted."""
        return cls(tuple(Column(tap, _shape(tap, seen[tap])) for tap in sorted(seen)))

    @classmethod
    def from_json(cls, columns: list[Any]) -> "Layout":
        """Read a layout written by ``to_json``.

        Raises:
            ValueError: the columns have another form.
            TypeError: likewise.
        """
        return cls(tuple(Column(Tap(*tap), tuple(shape)) for tap, shape in columns))

    def to_json(self) -> list[Any]:
        """Return the columns as lists, to be written as JSON."""
        return [[list(column.tap), list(column.shape)] for column in self.columns]

    def pack(self, seen: Seen, mask: Tensor) -> NDArray[np.float32]:
        """Copy the features of a batch's real tokens into one array, (tokens * width,).

        Args:
            seen: tap -> tensor, (batch, length, d) or (batch, heads, length, d_head).
            mask: (batch, length), True for tokens, False for padding.
        """
        by_token = [
            seen[column.tap].transpose(1, 2).flatten(2) if column.tap.what in FACTORS else seen[column.tap]
            for column in self.columns
        ]
        return torch.cat([tensor[mask].float().flatten() for tensor in by_token]).cpu().numpy()

    def unpack(self, numbers: NDArray[np.float32], mask: Tensor) -> Seen:
        """Rebuild the features of a batch on the device of ``mask``; padded positions are zero.

        Every tensor has the strides that the model's own output has, so results computed from it are the same to
        the last bit.

        Args:
            numbers: (tokens * width,), as ``pack`` returns it.
            mask: (batch, length), True for tokens, False for padding.
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
class CachedFeatures:
    """Features of batches on disk, returned only for exactly the inputs that they were computed from.

    Attributes:
        layout: which taps are stored for a token.
        table: the numbers on disk, by batch.
    """

    layout: Layout
    table: FeatureTable

    def read(self, number: int, batch: Batch) -> Seen | None:
        """Return the features of a batch, or None if they are missing, damaged or of other inputs.

        Args:
            number: index of the batch in the plan.
            batch: its inputs; their bytes are part of the checksum.
        """
        numbers = self.table.read(number, _input_bytes(batch))
        return None if numbers is None else self.layout.unpack(numbers, batch["attention_mask"])

    def write(self, number: int, seen: Seen, batch: Batch) -> None:
        """Write the features of a batch.

        Args:
            number: index of the batch in the plan.
            seen: tap -> tensor.
            batch: the inputs they were computed from.

        Raises:
            OSError: they cannot be written.
        """
        self.table.write(number, self.layout.pack(seen, batch["attention_mask"]), _input_bytes(batch))


def _input_bytes(batch: Batch) -> bytes:
    """Return the model inputs of a batch, padding included, as bytes: different inputs give different bytes."""
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
