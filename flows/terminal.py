"""Show a run's progress on the terminal: a bar for the running stage, or plain lines without a terminal."""

import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.text import Text

from pipeline.progress import Silent
from pipeline.report.formats import duration, words
from tasks.progress import SECONDS_BETWEEN_LINES, LoggedProgress, Pace, listening, show

BAR_WIDTH = 12
LOSS = "loss"


class StageScreen(Progress):
    """Two lines of at most 80 columns: the running stage, then the time of the whole run and the stage's figures."""

    def __init__(self, console: Console) -> None:
        self._began = time.monotonic()
        self.figures = ""
        super().__init__(
            TextColumn("{task.fields[place]}{task.description}"),
            BarColumn(BAR_WIDTH),
            TaskProgressColumn(),
            TextColumn("{task.fields[shown]}"),
            console=console,
        )

    def get_renderables(self) -> Iterator[RenderableType]:
        """Yield the lines to show."""
        yield self.make_tasks_table(self.tasks)
        whole = f"{duration(time.monotonic() - self._began)} in all"
        yield Text("  ".join(part for part in (whole, self.figures) if part), style="dim", no_wrap=True)


class BarProgress:
    """The progress bar of one stage."""

    def __init__(self, screen: StageScreen, stage: str, place: str) -> None:
        self._screen = screen
        self._stage = stage
        self._pace = Pace()
        self._last_figures = ""
        self._bar: TaskID = screen.add_task(words(stage), total=None, shown="", place=place)

    def update(self, done: float, total: float | None, **fields: float | str) -> None:
        """Move the bar and show the figures."""
        left = self._pace.seconds_left(done, total)
        soon = [] if left is None else [f"{duration(left)} left"]
        loss = [f"{name} {show(value)}" for name, value in fields.items() if name == LOSS]
        rest = [f"{words(name)} {show(value)}" for name, value in fields.items() if name != LOSS]
        self._last_figures = "  ".join([*loss, *rest])
        self._screen.figures = "  ".join(rest)
        self._screen.update(self._bar, completed=done, total=total, shown=escape("  ".join([*soon, *loss])))

    def note(self, message: str) -> None:
        """Print a line above the bar."""
        self._screen.console.print(f"{self._stage}: {message}", highlight=False, markup=False)

    def end(self) -> None:
        """Remove the bar and print the stage's last figures as a line."""
        if self._last_figures:
            self.note(self._last_figures)
        self._screen.figures = ""
        self._screen.remove_task(self._bar)


class StageBars:
    """A listener that shows a bar for each stage; a stage's bar ends when the next stage begins.

    Args:
        screen: the screen that shows the bars.
        stages: names of the run's stages in their order, for "4 of 12".
    """

    def __init__(self, screen: StageScreen, stages: Sequence[str]) -> None:
        self._screen, self._stages = screen, list(stages)
        self._last: BarProgress | None = None

    def __call__(self, stage: str) -> BarProgress:
        """End the previous stage's bar and return the bar of a stage that begins."""
        self.end()
        known = stage in self._stages
        place = f"{self._stages.index(stage) + 1} of {len(self._stages)} " if known else ""
        self._last = BarProgress(self._screen, stage, place)
        return self._last

    def end(self) -> None:
        """End the last bar."""
        if self._last is not None:
            self._last.end()
            self._last = None


@contextmanager
def watching(console: Console, *, quiet: bool, stages: Sequence[str] = ()) -> Iterator[None]:
    """Show the progress of the stages that run within this block.

    Args:
        console: shows a bar for the running stage if it is a terminal, else a line every few seconds.
        quiet: show nothing.
        stages: names of all the stages in their order.
    """
    if quiet:
        with listening(lambda _stage: Silent()):
            yield
    elif console.is_terminal:
        with StageScreen(console) as screen:
            bars = StageBars(screen, stages)
            with listening(bars):
                yield
            bars.end()
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
