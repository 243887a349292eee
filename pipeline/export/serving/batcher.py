"""Dynamic batching: requests that arrive within a moment are answered in one forward pass.

The queue is short on purpose. When it is full a new request is refused at once, so that those that were taken are
answered in time; what was taken is never dropped, not even when the server ends.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pipeline.export.answers import Answer
from pipeline.export.scorer import Row

_log = logging.getLogger(__name__)


class QueueFullError(Exception):
    """There is no place in the queue; ask again in a moment."""


class ClosingError(Exception):
    """The server ends and takes nothing more."""


@dataclass(frozen=True)
class BatchLimits:
    """When a batch is full, and when the queue is.

    Args:
        batch_rows: rows of one pass, more only where one request alone has more.
        wait_seconds: how long the first request of a batch waits for others. At 0 it does not wait, and a batch is what
            came while the one before was computed.
        queue_rows: rows that may wait.
    """

    batch_rows: int = 64
    wait_seconds: float = 0.0
    queue_rows: int = 128


@dataclass(frozen=True, eq=False)
class _Request:
    rows: Sequence[Row]
    arrived: float
    answered: "asyncio.Future[list[Answer]]"


class Batcher:
    """Answers requests in batches, one batch at a time, in a thread of its own.

    Args:
        answer: rows in, an answer for each out; called in that thread.
        limits: of batches and of the queue.
        on_batch: is told the rows of each batch that was answered.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Row]], list[Answer]],
        limits: BatchLimits,
        on_batch: Callable[[int], None] = lambda _rows: None,
    ) -> None:
        self._answer, self._limits, self._on_batch = answer, limits, on_batch
        self._waiting: deque[_Request] = deque()
        self._arrival = asyncio.Event()
        self._closing = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="answers")

    @property
    def waiting_rows(self) -> int:
        """Rows in the queue, those of the running batch excluded."""
        return sum(len(request.rows) for request in self._waiting)

    async def submit(self, rows: Sequence[Row]) -> list[Answer]:
        """An answer for each row, once its batch has been computed.

        Raises:
            QueueFullError: there is no place for them.
            ClosingError: the server ends.
        """
        if self._closing:
            raise ClosingError
        waiting = self.waiting_rows
        if waiting and waiting + len(rows) > self._limits.queue_rows:
            raise QueueFullError
        loop = asyncio.get_running_loop()
        request = _Request(rows, loop.time(), loop.create_future())
        self._waiting.append(request)
        self._arrival.set()
        return await request.answered

    async def run(self) -> None:
        """Answer until ``close`` was called and everything taken is answered."""
        while True:
            await self._arrival.wait()
            await self._fill()
            batch = self._take()
            if batch:
                await self._compute(batch)
            elif self._closing:
                break
        self._thread.shutdown()

    def close(self) -> None:
        """Take nothing more; ``run`` returns once everything taken is answered."""
        self._closing = True
        self._arrival.set()

    async def _fill(self) -> None:
        """Wait until the batch is full, or its first request has waited long enough."""
        loop = asyncio.get_running_loop()
        while self._waiting and not self._closing and self.waiting_rows < self._limits.batch_rows:
            left = self._waiting[0].arrived + self._limits.wait_seconds - loop.time()
            if left <= 0:
                return
            self._arrival.clear()
            try:
                await asyncio.wait_for(self._arrival.wait(), left)
            except TimeoutError:
                return

    def _take(self) -> list[_Request]:
        """The next requests that fit into a batch, at least one if any waits."""
        batch: list[_Request] = []
        rows = 0
        while self._waiting and (not batch or rows + len(self._waiting[0].rows) <= self._limits.batch_rows):
            request = self._waiting.popleft()
            if not request.answered.done():  # who has gone is not answered
                batch.append(request)
                rows += len(request.rows)
        if not self._waiting and not self._closing:
            self._arrival.clear()
        return batch

    async def _compute(self, batch: list[_Request]) -> None:
        """Answer a batch; if that fails, each request by itself, so that a bad one harms no other."""
        rows = [row for request in batch for row in request.rows]
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._thread, self._answer, rows)
        except Exception as error:  # noqa: BLE001 - whatever a row does to the model, the server goes on
            if len(batch) > 1:
                for request in batch:
                    await self._compute([request])
                return
            _log.exception("a request of %d rows could not be answered", len(rows))
            if not batch[0].answered.done():
                batch[0].answered.set_exception(error)
            return
        self._on_batch(len(rows))
        start = 0
        for request in batch:
            if not request.answered.done():
                request.answered.set_result(found[start : start + len(request.rows)])
            start += len(request.rows)
