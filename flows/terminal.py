"""What the terminal shows of a run: a bar for each stage, or plain lines where there is no terminal."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipeline.progress import Silent
from tasks.progress import SECONDS_BETWEEN_LINES, LoggedProgress, listening, show


class BarProgress:
    """One stage's bar."""

    def __init__(self, bars: Progress, stage: str) -> None:
        self._bars = bars
        self._stage = stage
        self._bar: TaskID = bars.add_task(stage, total=None, shown="")

    def update(self, done: float, total: float | None, **fields: float | str) -> None:
        """Move the bar."""
        shown = "  ".join(f"{name.replace('_', ' ')} {show(value)}" for name, value in fields.items())
        self._bars.update(self._bar, completed=done, total=total, shown=shown)

    def note(self, message: str) -> None:
        """A line above the bars."""
        self._bars.console.print(f"{self._stage}: {message}", highlight=False, markup=False)


@contextmanager
def watching(console: Console, *, quiet: bool) -> Iterator[None]:
    """Show the stages that run meanwhile.

    Args:
        console: where to; bars if it is a terminal, a line every few seconds if not.
        quiet: show nothing.
    """
    if quiet:
        with listening(lambda _stage: Silent()):
            yield
    elif console.is_terminal:
        columns = (
            TextColumn("{task.description:22}"),
            BarColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[shown]}"),
        )
        with Progress(*columns, console=console) as bars, listening(lambda stage: BarProgress(bars, stage)):
            yield
    else:
        with listening(lambda stage: LoggedProgress(stage, _plain_lines(), SECONDS_BETWEEN_LINES)):
            yield


def _plain_lines() -> logging.Logger:
    logger = logging.getLogger("tinybert.progress")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    return logger
