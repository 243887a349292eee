"""A batch plan says which rows make up each batch of each epoch, from their lengths alone.

Rows are sorted by length with random ties and cut into batches once, from the seed alone; each epoch
shuffles the order of the batches. Rows of one batch are about equally long, so next to nothing is
padded. The plan is a pure function of (seed, epoch); nothing else needs to be remembered to resume.

A row keeps its company because matrix products differ in the last bit with the shape of the batch:
what a teacher says of a fixed batch can be stored and read back as exactly what it would say again.
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
        lengths: tokens of each row.
        batch_size: rows a batch, or
        max_tokens: tokens a batch, padding included; a row longer than this is a batch of its own.
        seed: of the order.
        drop_last: leave out what does not fill a batch (row batches only), as the released code does;
            which rows these are is drawn anew each epoch.
        pad_to: every row counts as this long; None pads to the longest of the batch.
    """

    lengths: NDArray[np.int32]
    batch_size: int
    seed: int
    max_tokens: int | None = None
    drop_last: bool = False
    pad_to: int | None = None

    def __len__(self) -> int:
        """Batches an epoch."""
        return len(self._bounds) - 1

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """The batches of an epoch, in order."""
        random = self._random(epoch)
        batches = self.batches if self.fixed and epoch else self._draw(random)
        return [batches[i] for i in random.permutation(len(self))]

    @property
    def fixed(self) -> bool:
        """Whether every epoch has the same batches; not where some rows are dropped and others the next time."""
        return self._bounds[-1] == len(self.lengths)

    @cached_property
    def batches(self) -> list[NDArray[np.int64]]:
        """The batches of a fixed plan, in order of length."""
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
        """Real tokens over computed tokens of an epoch."""
        if self.pad_to:
            return float(self.lengths.sum() / (len(self.lengths) * self.pad_to))
        lengths = np.sort(self.lengths)
        bounds = self._bounds
        computed = sum(int(lengths[end - 1]) * (end - start) for start, end in pairwise(bounds))
        return float(lengths[: bounds[-1]].sum() / computed)


def token_bounds(sorted_lengths: NDArray[np.int32], max_tokens: int) -> list[int]:
    """Cut ascending lengths into runs whose padded size stays within ``max_tokens``."""
    bounds, count = [0], len(sorted_lengths)
    while bounds[-1] < count:
        start = bounds[-1]
        window = sorted_lengths[start : start + max_tokens // max(1, int(sorted_lengths[start])) + 1]
        padded = window.astype(np.int64) * np.arange(1, len(window) + 1)
        bounds.append(start + max(1, int(np.searchsorted(padded, max_tokens, side="right"))))
    return bounds
