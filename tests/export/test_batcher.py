"""Dynamic batching: what arrives together is answered together, what was taken is answered, what is too much is not."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence

import pytest

from pipeline.export.answers import Answer
from pipeline.export.scorer import Row
from pipeline.export.serving.batcher import Batcher, BatchLimits, ClosingError, QueueFullError

PATIENT = 60.0  # seconds; no test waits so long, a batch is full or closed before


class Model:
    """Answers with the text; may be held, and fails over the text ``bad``."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.free = threading.Event()
        self.free.set()

    def __call__(self, rows: Sequence[Row]) -> list[Answer]:
        self.batches.append([row.text for row in rows])
        self.free.wait()
        if any(row.text == "bad" for row in rows):
            raise ValueError("bad row")
        return [{"text": row.text} for row in rows]


def rows(*texts: str) -> list[Row]:
    return [Row(text) for text in texts]


def answered(*texts: str) -> list[Answer]:
    return [{"text": text} for text in texts]


def with_batcher(model: Model, limits: BatchLimits, use: Callable[[Batcher], Awaitable[None]]) -> None:
    async def whole() -> None:
        batcher = Batcher(model, limits)
        running = asyncio.create_task(batcher.run())
        await use(batcher)
        batcher.close()
        await running

    asyncio.run(whole())


def test_requests_that_arrive_together_are_one_batch() -> None:
    model = Model()

    async def use(batcher: Batcher) -> None:
        found = await asyncio.gather(*(batcher.submit(rows(text, text + text)) for text in "abc"))
        assert found == [answered(text, text + text) for text in "abc"]

    with_batcher(model, BatchLimits(batch_rows=6, wait_seconds=PATIENT), use)
    assert model.batches == [["a", "aa", "b", "bb", "c", "cc"]]


def test_the_first_waits_no_longer_than_it_may() -> None:
    model = Model()

    async def use(batcher: Batcher) -> None:
        assert await batcher.submit(rows("alone")) == answered("alone")
        assert await batcher.submit(rows("again")) == answered("again")

    with_batcher(model, BatchLimits(batch_rows=100, wait_seconds=0.01), use)
    assert model.batches == [["alone"], ["again"]]


def test_a_large_request_is_a_batch_of_its_own() -> None:
    model = Model()

    async def use(batcher: Batcher) -> None:
        await asyncio.gather(batcher.submit(rows("a")), batcher.submit(rows("b", "c", "d")), batcher.submit(rows("e")))

    with_batcher(model, BatchLimits(batch_rows=2, wait_seconds=0.01), use)
    assert model.batches == [["a"], ["b", "c", "d"], ["e"]]


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.001)


def test_a_full_queue_refuses_and_loses_nothing() -> None:
    model = Model()

    async def use(batcher: Batcher) -> None:
        model.free.clear()
        running = asyncio.create_task(batcher.submit(rows("running")))
        await until(lambda: bool(model.batches))
        waiting = [asyncio.create_task(batcher.submit(rows(text))) for text in "ab"]
        await until(lambda: batcher.waiting_rows == 2)
        with pytest.raises(QueueFullError):
            await batcher.submit(rows("c"))
        model.free.set()
        assert await running == answered("running")
        assert await asyncio.gather(*waiting) == [answered("a"), answered("b")]
        assert await batcher.submit(rows("c")) == answered("c")  # it has recovered

    with_batcher(model, BatchLimits(batch_rows=1, wait_seconds=0, queue_rows=2), use)


def test_a_bad_request_harms_no_other() -> None:
    model = Model()

    async def use(batcher: Batcher) -> None:
        found = await asyncio.gather(
            *(batcher.submit(rows(text)) for text in ("a", "bad", "b")), return_exceptions=True
        )
        assert isinstance(found[1], ValueError)
        assert [found[0], found[2]] == [answered("a"), answered("b")]
        assert await batcher.submit(rows("c", "d", "e")) == answered("c", "d", "e")

    with_batcher(model, BatchLimits(batch_rows=3, wait_seconds=PATIENT), use)


def test_whoever_has_gone_is_not_answered() -> None:
    model = Model()

    async def use(batcher: Batcher) -> None:
        model.free.clear()
        running = asyncio.create_task(batcher.submit(rows("running")))
        await until(lambda: bool(model.batches))
        gone = asyncio.create_task(batcher.submit(rows("gone")))
        stays = asyncio.create_task(batcher.submit(rows("stays")))
        await until(lambda: batcher.waiting_rows == 2)
        gone.cancel()
        await until(gone.done)
        model.free.set()
        assert await stays == answered("stays")
        assert await running == answered("running")

    with_batcher(model, BatchLimits(batch_rows=2, wait_seconds=0), use)
    assert model.batches == [["running"], ["stays"]]


def test_what_was_taken_is_answered_before_the_end() -> None:
    model = Model()

    async def use(batcher: Batcher) -> None:
        waiting = [asyncio.create_task(batcher.submit(rows(text))) for text in "abc"]
        await until(lambda: batcher.waiting_rows == 3)
        batcher.close()
        with pytest.raises(ClosingError):
            await batcher.submit(rows("late"))
        assert await asyncio.gather(*waiting) == [answered(text) for text in "abc"]

    with_batcher(model, BatchLimits(batch_rows=100, wait_seconds=PATIENT), use)
