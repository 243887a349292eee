"""Read the batches of the next step while this one is computed.

Every process reads the whole batch, which is cheap, and keeps every ``world``-th row. So the random masks of a
batch, its padded length and its counts are the same as in a run on one process.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipeline.training.counts import count, nothing, total

Batch = dict[str, Tensor]
Read = Callable[[NDArray[np.int64], int], Batch]


class Plan(Protocol):
    """Which rows make up each batch of each epoch; a pure function of the epoch."""

    def __len__(self) -> int:
        """Batches an epoch."""

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """Row indices of each batch, in order."""


@dataclass(frozen=True)
class MicroBatch:
    """This process's rows of one batch: the input of one forward and backward pass.

    Attributes:
        rows: (rows,), row indices.
        pass_number: number of the pass in the whole training; the seeds of its random numbers depend on it.
        batch: tensors on the CPU, each with first dimension ``rows``.
        counts: counts of the whole optimisation step, over all processes.
    """

    rows: NDArray[np.int64]
    pass_number: int
    batch: Batch
    counts: dict[str, float]


@dataclass(frozen=True)
class Step:
    """One optimisation step.

    Attributes:
        micro_batches: this process's part of each batch of the step.
        counts: rows, tokens and pairs of the whole step, over all processes.
    """

    micro_batches: tuple[MicroBatch, ...]
    counts: dict[str, float]


class Feed:
    """The steps of a training in order, each read one step ahead by a thread; a context manager.

    Args:
        plan: which rows make up each batch.
        read: (row indices, pass number) -> batch on the CPU.
        accumulate: number of batches a step.
        total: number of steps of the whole training.
        rank: number of this process, from 0.
        world: number of processes.
        pin: copy the batches into page-locked memory, from which a GPU can fetch them while it computes.
        windows: distances of local attention; pairs of tokens within them are counted too.
        alike: pad all batches of a step to its longest row, for losses whose means include padding: the step's loss
            then does not depend on how the step is cut into batches.
    """

    def __init__(
        self,
        plan: Plan,
        read: Read,
        *,
        accumulate: int = 1,
        total: int,
        rank: int = 0,
        world: int = 1,
        pin: bool = False,
        windows: Iterable[int] = (),
        alike: bool = False,
    ) -> None:
        self._windows, self._alike = tuple(windows), alike
        self._plan, self._read, self._accumulate, self._total = plan, read, accumulate, total
        self._rank, self._world, self._pin = rank, world, pin
        self._per_epoch = -(-len(plan) // accumulate)
        self._order: tuple[int, list[NDArray[np.int64]]] = (-1, [])
        self._ahead: tuple[int, Future[Step]] | None = None
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="feed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.shutdown(wait=True, cancel_futures=True)

    def take(self, step: int) -> Step:
        """Return the batches of a step and start reading those of the next.

        Args:
            step: number of the step, from 0.
        """
        number, future = self._ahead or (-1, None)
        if future is None or number != step:
            future = self._reader.submit(self._make, step)
        batches = future.result()
        self._ahead = (step + 1, self._reader.submit(self._make, step + 1)) if step + 1 < self._total else None
        return batches

    def _make(self, step: int) -> Step:
        epoch, within = divmod(step, self._per_epoch)
        if self._order[0] != epoch:
            self._order = (epoch, self._plan.epoch(epoch))
        parts = self._order[1][within * self._accumulate : (within + 1) * self._accumulate]
        first = step * self._accumulate
        batches = self._read_alike(parts, first) if self._alike else self._read_each(parts, first)
        whole = total(count(batch, self._windows) for batch in batches)
        micro_batches = tuple(
            self._part(rows, first + part, batch, whole)
            for part, (rows, batch) in enumerate(zip(parts, batches, strict=True))
        )
        return Step(micro_batches, whole)

    def _read_each(self, parts: list[NDArray[np.int64]], first: int) -> list[Batch]:
        return [self._read(rows, first + part) for part, rows in enumerate(parts)]

    def _read_alike(self, parts: list[NDArray[np.int64]], first: int) -> list[Batch]:
        """Read all batches of a step at once, padded to its longest row, then cut them apart."""
        large = self._read(np.concatenate(parts), first)
        ends = np.cumsum([len(rows) for rows in parts]).tolist()
        row_ranges = [slice(end - len(rows), end) for rows, end in zip(parts, ends, strict=True)]
        return [{name: tensor[row_range] for name, tensor in large.items()} for row_range in row_ranges]

    def _part(self, rows: NDArray[np.int64], pass_number: int, batch: Batch, counts: dict[str, float]) -> MicroBatch:
        if self._world > 1:
            mine = slice(self._rank, None, self._world)
            if self._rank >= len(rows):
                mine, counts = slice(0, 1), nothing(counts)
            rows, batch = rows[mine], {name: tensor[mine] for name, tensor in batch.items()}
        if self._pin:
            batch = {name: tensor.pin_memory() for name, tensor in batch.items()}
        return MicroBatch(rows, pass_number, batch, counts)
