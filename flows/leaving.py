"""End a command-line run: the first Ctrl-C saves a checkpoint, a second one ends the process at once."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from pipeline.errors import PipelineError
from pipeline.training.team import team
from tasks.patience import patience

INTERRUPTED, TERMINATED = 130, 143
AGAIN = "run the same command again to go on from the last checkpoint"
LAST_LINES = {INTERRUPTED: f"interrupted; {AGAIN}", TERMINATED: f"ended by SIGTERM; {AGAIN}"}
# timeout(1) and launchers pass on the signal that the terminal has already sent.
SAME_SIGNAL_SECONDS = 0.3
VISIBLE_CURSOR = "\r\n\x1b[?25h"
# Time for Prefect's last requests, after the run has saved everything; and if the server does not answer.
FAREWELL_SECONDS = 3.0
UNHEARD_SECONDS = 1.0


class Leaving:
    """The handlers of a run for Ctrl-C and SIGTERM.

    Attributes:
        code: exit code of the process; None until a signal arrives.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        self._interrupted_at = 0.0
        self._timer: threading.Timer | None = None

    def interrupted(self, *_: object) -> None:
        """Handle Ctrl-C."""
        now = time.monotonic()
        if self.code is None:
            self.code, self._interrupted_at = INTERRUPTED, now
            patience.end()
            raise KeyboardInterrupt
        # Of several processes the launcher ends them all.
        if now - self._interrupted_at > SAME_SIGNAL_SECONDS and team().size == 1:
            leave_at_once(INTERRUPTED)

    def terminated(self, *_: object) -> None:
        """Handle SIGTERM; while a flow runs, Prefect handles it first and passes it on when the flow has ended."""
        self.code = self.code or TERMINATED
        patience.end()
        raise SystemExit(self.code)

    def farewell(self) -> None:
        """End in order if that is quick, and at once if the last requests to the server take long."""
        if self._timer is None:
            self.code = self.code or TERMINATED
            seconds = UNHEARD_SECONDS if patience.silent else FAREWELL_SECONDS
            self._timer = threading.Timer(seconds, leave_at_once, (self.code,))
            self._timer.daemon = True
            self._timer.start()


@contextmanager
def leaving() -> Iterator[None]:
    """End this block in order on Ctrl-C or SIGTERM, and the process at once on a second Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    own = Leaving()
    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, own.terminated)}
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # ignored in a shell's background job
        before[signal.SIGINT] = signal.signal(signal.SIGINT, own.interrupted)
    patience.farewell = own.farewell
    try:
        yield
    except BaseException as error:
        if own.code is None:
            raise
        own.farewell()
        if isinstance(error, Exception) and not isinstance(error, PipelineError):  # it could not be told to the server
            raise SystemExit(own.code) from None
        raise
    finally:
        if own.code is None:  # else the second one may come while the last words are sent
            for number, handler in before.items():
                signal.signal(number, handler)


def say_last_line(code: object) -> None:
    """Print, once, why the run ends early."""
    if (line := LAST_LINES.pop(code, None)) is not None:  # type: ignore[call-overload]
        print(line, file=sys.__stderr__, flush=True)


def leave_at_once(code: int) -> NoReturn:
    """End the process now, after flushing its output and showing the cursor; its children end by themselves."""
    sys.stdout.flush()
    if sys.__stderr__ is not None and sys.__stderr__.isatty():
        sys.__stderr__.write(VISIBLE_CURSOR * (team().size == 1))
    say_last_line(code)
    os._exit(code)
