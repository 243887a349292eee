"""What the terminal shows of a run: a bar for each stage, or plain lines where there is no terminal."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from pipeline.progress import Silent
from pipeline.report.formats import duration, words
from tasks.progress import SECONDS_BETWEEN_LINES, LoggedProgress, Pace, listening, show


class BarProgress:
    """One stage's bar."""

    def __init__(self, bars: Progress, stage: str) -> None:
        self._bars = bars
        self._stage = stage
        self._pace = Pace()
        self._figures = ""
        self._bar: TaskID = bars.add_task(stage, total=None, shown="")

    def update(self, done: float, total: float | None, **fields: float | str) -> None:
        """Move the bar."""
        left = self._pace.seconds_left(done, total)
        self._figures = escape("  ".join(f"{words(name)} {show(value)}" for name, value in fields.items()))
        shown = self._figures if left is None else f"{duration(left)} left  {self._figures}"
        self._bars.update(self._bar, completed=done, total=total, shown=shown)

    def note(self, message: str) -> None:
        """A line above the bars."""
        self._bars.console.print(f"{self._stage}: {message}", highlight=False, markup=False)

    def end(self) -> None:
        """The stage is over: its bar is full, its clock stands, its last figures stay."""
        self._bars.update(self._bar, completed=1, total=1, shown=self._figures)
        self._bars.stop_task(self._bar)


class StageBars:
    """A listener that gives each stage a bar; a stage ends where the next one begins."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._last: BarProgress | None = None

    def __call__(self, stage: str) -> BarProgress:
        """The bar of a stage that begins now."""
        self.end()
        self._last = BarProgress(self._bars, stage)
        return self._last

    def end(self) -> None:
        """No stage runs any more."""
        if self._last is not None:
            self._last.end()
            self._last = None


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
            BarColumn(20),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[shown]}"),
        )
        with Progress(*columns, console=console) as bars:
            stages = StageBars(bars)
            with listening(stages):
                yield
            stages.end()
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
