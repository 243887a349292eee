"""How a command line run is left: the first Ctrl-C saves a checkpoint, the second leaves at once; nobody hangs."""

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
# timeout and launchers hand the same signal on that the terminal has sent.
SAME_SIGNAL_SECONDS = 0.3
VISIBLE_CURSOR = "\r\n\x1b[?25h"
# What Prefect gets for its last words, once the run itself has saved all it must; and where nobody hears them.
FAREWELL_SECONDS = 3.0
UNHEARD_SECONDS = 1.0


class Leaving:
    """What a run does when it is told to leave.

    Attributes:
        code: the exit code it leaves with; None while it was not told.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        self._told_at = 0.0
        self._timer: threading.Timer | None = None

    def interrupted(self, *_: object) -> None:
        """Ctrl-C."""
        now = time.monotonic()
        if self.code is None:
            self.code, self._told_at = INTERRUPTED, now
            patience.end()
            raise KeyboardInterrupt
        # Of several processes the launcher ends them all.
        if now - self._told_at > SAME_SIGNAL_SECONDS and team().size == 1:
            leave_at_once(INTERRUPTED)

    def terminated(self, *_: object) -> None:
        """SIGTERM; while a flow runs Prefect hears it first, and hands it on when the flow has ended."""
        self.code = self.code or TERMINATED
        patience.end()
        raise SystemExit(self.code)

    def farewell(self) -> None:
        """Leave in good order if that is quick, and at once if the last words to the server take long."""
        if self._timer is None:
            self.code = self.code or TERMINATED
            seconds = UNHEARD_SECONDS if patience.silent else FAREWELL_SECONDS
            self._timer = threading.Timer(seconds, leave_at_once, (self.code,))
            self._timer.daemon = True
            self._timer.start()


@contextmanager
def leaving() -> Iterator[None]:
    """End the block on Ctrl-C or SIGTERM in good order, and on a second Ctrl-C without any."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    own = Leaving()
    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, own.terminated)}
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # what a shell runs in the background does not hear it
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


def server_is_gone() -> bool:
    """Whether Prefect's last words to its server would be waited for in vain."""
    return patience.over


def say_last_line(code: object) -> None:
    """Say why the run ends before its time, once."""
    if (line := LAST_LINES.pop(code, None)) is not None:  # type: ignore[call-overload]
        print(line, file=sys.__stderr__, flush=True)


def leave_at_once(code: int) -> NoReturn:
    """Leave now, with what was printed and a visible cursor; what this process started ends by itself."""
    sys.stdout.flush()
    if sys.__stderr__ is not None and sys.__stderr__.isatty():
        sys.__stderr__.write(VISIBLE_CURSOR * (team().size == 1))
    say_last_line(code)
    os._exit(code)
