"""A batch plan says which rows make up each batch of each epoch, from their lengths alone.

Rows are sorted by length with random ties and cut into batches once, from the seed alone; each epoch
shuffles the order of the batches. Rows of one batch are about equally long, so there is little padding. The plan is a
pure function of (seed, epoch), so resuming needs no other state.

The rows of a batch stay together in every epoch, because the last bits of matrix products depend on the shape of the
batch: a teacher's features of a fixed batch can be stored, and reading them equals computing them again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class BatchPlan:
    """Length-bucketed batches of row indices.

    Attributes:
        lengths: (rows,), int32, number of tokens of each row.
        batch_size: number of rows a batch; not used if ``max_tokens`` is set.
        max_tokens: largest number of tokens a batch, padding included; a longer row is a batch of its own.
        seed: seed of the batches and of their order.
        drop_last: leave out the rows that do not fill a batch, as the released code does (only without
            ``max_tokens``); each epoch leaves out other rows.
        pad_to: length that every row is padded to, in tokens; None pads to the longest row of the batch.
    """

    lengths: NDArray[np.int32]
    batch_size: int
    seed: int
    max_tokens: int | None = None
    drop_last: bool = False
    pad_to: int | None = None

    def __len__(self) -> int:
        """Return the number of batches an epoch."""
        return len(self._bounds) - 1

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """Return the row indices of each batch of an epoch, in order."""
        random = self._random(epoch)
        batches = self.batches if self.fixed and epoch else self._draw(random)
        return [batches[i] for i in random.permutation(len(self))]

    @property
    def fixed(self) -> bool:
        """True if every epoch has the same batches, False if each epoch leaves out other rows."""
        return self._bounds[-1] == len(self.lengths)

    @cached_property
    def batches(self) -> list[NDArray[np.int64]]:
        """Row indices of each batch of a fixed plan, in order of length."""
        return self._draw(self._random(0))

    def _random(self, epoch: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64([self.seed, epoch]))

    def _draw(self, random: np.random.Generator) -> list[NDArray[np.int64]]:
        # What is dropped goes before sorting: afterwards it would be the longest rows, every time.
        ties = random.permutation(len(self.lengths))[: self._bounds[-1]]
        # With a fixed padded length there is nothing to gain from sorting.
        order = ties if self.pad_to else ties[np.argsort(self.lengths[ties], kind="stable")]
        return [order[start:end] for start, end in pairwise(self._bounds)]

    @cached_property
    def _bounds(self) -> Sequence[int]:
        count = len(self.lengths)
        if self.max_tokens is None:
            bounds = [*range(0, count, self.batch_size), count]
            if self.drop_last and count % self.batch_size and len(bounds) > 2:
                bounds.pop()
            return bounds
        if self.pad_to:
            return [*range(0, count, max(1, self.max_tokens // self.pad_to)), count]
        return token_bounds(np.sort(self.lengths), self.max_tokens)

    @property
    def padding_efficiency(self) -> float:
        """Real tokens of an epoch divided by computed tokens (padding included), 0 to 1."""
        if self.pad_to:
            return float(self.lengths.sum() / (len(self.lengths) * self.pad_to))
        lengths = np.sort(self.lengths)
        bounds = self._bounds
        computed = sum(int(lengths[end - 1]) * (end - start) for start, end in pairwise(bounds))
        return float(lengths[: bounds[-1]].sum() / computed)


def token_bounds(sorted_lengths: NDArray[np.int32], max_tokens: int) -> list[int]:
    """Cut ascending lengths into runs of rows whose padded size is at most ``max_tokens``."""
    bounds, count = [0], len(sorted_lengths)
    while bounds[-1] < count:
        start = bounds[-1]
        window = sorted_lengths[start : start + max_tokens // max(1, int(sorted_lengths[start])) + 1]
        padded = window.astype(np.int64) * np.arange(1, len(window) + 1)
        bounds.append(start + max(1, int(np.searchsorted(padded, max_tokens, side="right"))))
    return bounds
