"""Where the progress of a running stage goes: to whoever is listening, or to the log, line by line.

The command line listens with its bars; a worker has nobody listening and writes a line now and then,
which the Prefect UI shows beside the task.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from pipeline.progress import Progress

SECONDS_BETWEEN_LINES = 10.0
Listener = Callable[[str], Progress]
Logger: TypeAlias = "logging.Logger | logging.LoggerAdapter[logging.Logger]"
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


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
        self._started = self._spoken = time.monotonic()
        self._first: float | None = None

    def update(self, done: float, total: float | None, **fields: float | str) -> None:
        """Say how far it is, if the last line is old enough."""
        now = time.monotonic()
        if self._first is None:
            self._first = done
        if now - self._spoken < self._seconds:
            return
        self._spoken = now
        text = f"{self._stage}: {done:g}" + (f" of {total:g}" if total else "")
        if total and done > self._first:
            left = (now - self._started) * (total - done) / (done - self._first)
            text += f", {left:.0f} s left"
        text += "".join(f", {name} {show(value)}" for name, value in fields.items())
        self._logger.info(text)

    def note(self, message: str) -> None:
        """Say it at once."""
        self._logger.info("%s: %s", self._stage, message)


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
