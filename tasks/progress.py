"""Route the progress of a running stage to a listener, or without one to the log.

The command line listens with its bars. A worker has no listener and logs a line every few seconds, which the Prefect
UI shows beside the task.
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
    """Estimates the time that a stage has left, from the work of this attempt only.

    A stage may start to count again, for instance for its next training; then the estimate starts again too.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._first = self._last = math.inf
        self._total: float | None = None

    def seconds_left(self, done: float, total: float | None) -> float | None:
        """Estimate the seconds until ``total`` units are done; None if that cannot be known yet.

        Args:
            done: units done so far.
            total: units in all; None if unknown.
        """
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
        logger: receives the lines.
        seconds: smallest time between two lines.
    """

    def __init__(self, stage: str, logger: Logger, seconds: float) -> None:
        self._stage = stage
        self._logger = logger
        self._seconds = seconds
        self._logged = time.monotonic()
        self._pace = Pace()

    def update(self, done: float, total: float | None, **fields: float | str) -> None:
        """Log the progress if the last line is old enough."""
        left = self._pace.seconds_left(done, total)
        now = time.monotonic()
        if now - self._logged >= self._seconds:
            self._logged = now
            self._logger.info("%s: %s", self._stage, progress_line(done, total, left, fields))

    def note(self, message: str) -> None:
        """Log a message at once."""
        self._logger.info("%s: %s", self._stage, message)


def progress_line(done: float, total: float | None, left: float | None, fields: Mapping[str, float | str]) -> str:
    """Write the progress of a stage in one line.

    Args:
        done: units done so far.
        total: units in all; None if unknown.
        left: estimated seconds left; None if unknown.
        fields: figures by name.
    """
    parts = [f"{done:g} of {total:g}" if total else f"{done:g}"]
    parts += [] if left is None else [f"{left:.0f} s left"]
    return ", ".join(parts + [f"{name} {show(value)}" for name, value in fields.items()])


def show(value: float | str) -> str:
    """Write a figure in about four digits."""
    return value if isinstance(value, str) else f"{value:.4g}" if value < 1000 else f"{value:,.0f}"


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """While this block runs, send the progress of every stage to ``listener(stage name)``."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def progress_for(stage: str, logger: Logger) -> Progress:
    """Return the progress of a stage: the listener's, or log lines without a listener."""
    listener = _listener.get()
    return listener(stage) if listener else LoggedProgress(stage, logger, SECONDS_BETWEEN_LINES)
