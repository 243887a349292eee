"""Where the progress of a running stage goes: to whoever is listening, or to the log, line by line.

The command line listens with its bars; a worker has nobody listening and writes a line now and then,
which the Prefect UI shows beside the task.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from pipeline.progress import Progress

SECONDS_BETWEEN_LINES = 10.0
Listener = Callable[[str], Progress]
Logger: TypeAlias = "logging.Logger | logging.LoggerAdapter[logging.Logger]"
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


class Pace:
    """How long a stage has left, told by what was done here and not by what an earlier attempt had done.

    A stage may count from the start again, for its next training say; so does the pace.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._first = self._last = math.inf
        self._total: float | None = None

    def seconds_left(self, done: float, total: float | None) -> float | None:
        """Seconds until ``total`` at the pace so far; None while nobody can know."""
        if done < self._last or total != self._total:
            self._first, self._began = done, time.monotonic()
        self._last, self._total = done, total
        if not total or done <= self._first:
            return None
        return (time.monotonic() - self._began) * (total - done) / (done - self._first)


class LoggedProgress:
    """Progress as log lines, a few a minute at most.

    Args:
        stage: name of the stage.
        logger: where the lines go.
        seconds: least time between two lines.
    """

    def __init__(self, stage: str, logger: Logger, seconds: float) -> None:
        self._stage = stage
        self._logger = logger
        self._seconds = seconds
        self._spoken = time.monotonic()
        self._pace = Pace()

    def update(self, done: float, total: float | None, **fields: float | str) -> None:
        """Say how far it is, if the last line is old enough."""
        left = self._pace.seconds_left(done, total)
        now = time.monotonic()
        if now - self._spoken >= self._seconds:
            self._spoken = now
            self._logger.info("%s: %s", self._stage, spoken(done, total, left, fields))

    def note(self, message: str) -> None:
        """Say it at once."""
        self._logger.info("%s: %s", self._stage, message)


def spoken(done: float, total: float | None, left: float | None, fields: Mapping[str, float | str]) -> str:
    """A moment of a stage in one line."""
    parts = [f"{done:g} of {total:g}" if total else f"{done:g}"]
    parts += [] if left is None else [f"{left:.0f} s left"]
    return ", ".join(parts + [f"{name} {show(value)}" for name, value in fields.items()])


def show(value: float | str) -> str:
    """A number short enough to read in passing."""
    return value if isinstance(value, str) else f"{value:.4g}" if value < 1000 else f"{value:,.0f}"


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send the progress of every stage that runs meanwhile to ``listener(stage name)``."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def progress_for(stage: str, logger: Logger) -> Progress:
    """The progress of a stage: the listener's, or log lines."""
    listener = _listener.get()
    return listener(stage) if listener else LoggedProgress(stage, logger, SECONDS_BETWEEN_LINES)
