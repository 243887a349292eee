"""A feed reads the batches of the next step, and may ask a teacher of them, while the present one is computed.

Every process reads the whole batch, which is cheap, and keeps each world-th row of it: what is drawn for a
batch, its masks, its padded length and its counts are then those of a run on one process.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import torch
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
class Micro:
    """One forward and backward pass: this process's part of a batch.

    Attributes:
        rows: row indices of this part.
        draw: number of the pass in the whole training; decides its randomness.
        batch: tensors on the CPU.
        counts: of the whole optimisation step, over all processes.
        target: what a teacher shows of the batch, where the feed asks it.
    """

    rows: NDArray[np.int64]
    draw: int
    batch: Batch
    counts: dict[str, float]
    target: Any = None


@dataclass(frozen=True)
class Step:
    """One optimisation step: its passes, and what all processes together read."""

    micro: tuple[Micro, ...]
    counts: dict[str, float]


class Feed:
    """The steps of a training in order, each read one step ahead; a context manager.

    Args:
        plan: which rows make up each batch.
        read: row indices and the number of the pass in, a batch on the CPU out.
        accumulate: batches a step.
        total: steps of the whole training.
        rank: of this process.
        world: number of processes.
        pin: copy the batches into page-locked memory, from which a GPU can fetch them meanwhile.
        ask: (batch, its row indices) -> what a teacher shows of it, without gradients; None where the loop asks.
        windows: of the learners' local attention; pairs within them are counted too.
        alike: pad all batches of a step to its longest row, for losses whose means padding counts in: what a step
            holds then does not depend on how it is cut into batches.
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
        ask: Callable[[Batch, NDArray[np.int64]], Any] | None = None,
        windows: Iterable[int] = (),
        alike: bool = False,
    ) -> None:
        self._ask = ask
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
        """The batches of a step; the next one is begun."""
        number, future = self._ahead or (-1, None)
        if future is None or number != step:
            future = self._reader.submit(self._make, step)
        found = future.result()
        self._ahead = (step + 1, self._reader.submit(self._make, step + 1)) if step + 1 < self._total else None
        return found

    def _make(self, step: int) -> Step:
        epoch, within = divmod(step, self._per_epoch)
        if self._order[0] != epoch:
            self._order = (epoch, self._plan.epoch(epoch))
        parts = self._order[1][within * self._accumulate : (within + 1) * self._accumulate]
        first = step * self._accumulate
        batches = self._read_alike(parts, first) if self._alike else self._read_each(parts, first)
        whole = total(count(batch, self._windows) for batch in batches)
        micro = tuple(
            self._part(rows, first + part, batch, whole)
            for part, (rows, batch) in enumerate(zip(parts, batches, strict=True))
        )
        return Step(micro, whole)

    def _read_each(self, parts: list[NDArray[np.int64]], first: int) -> list[Batch]:
        return [self._read(rows, first + part) for part, rows in enumerate(parts)]

    def _read_alike(self, parts: list[NDArray[np.int64]], first: int) -> list[Batch]:
        """The batches as parts of one large batch."""
        large = self._read(np.concatenate(parts), first)
        ends = np.cumsum([len(rows) for rows in parts]).tolist()
        cuts = [slice(end - len(rows), end) for rows, end in zip(parts, ends, strict=True)]
        return [{name: tensor[cut] for name, tensor in large.items()} for cut in cuts]

    def _part(self, rows: NDArray[np.int64], draw: int, batch: Batch, counts: dict[str, float]) -> Micro:
        if self._world > 1:
            mine = slice(self._rank, None, self._world)
            if self._rank >= len(rows):
                mine, counts = slice(0, 1), nothing(counts)
            rows, batch = rows[mine], {name: tensor[mine] for name, tensor in batch.items()}
        if self._pin:
            batch = {name: tensor.pin_memory() for name, tensor in batch.items()}
        if self._ask is None:
            return Micro(rows, draw, batch, counts)
        with torch.no_grad():
            return Micro(rows, draw, batch, counts, self._ask(batch, rows))
