"""``tinybert`` in a real terminal (a pseudo-terminal that it owns), without a server of anybody's."""

import fcntl
import os
import pty
import re
import sqlite3
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
from tiny_run import Tiny

PATIENCE_SECONDS = 240.0
CTRL_C = b"\x03"
# Long enough to be met in the middle.
LONG = ("general_distillation.training.epochs=4000", "--until", "general_distillation")


def until(look: Callable[[], Any], what: str) -> Any:
    """The first thing that is found."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, f"it never happened: {what}"
        time.sleep(0.05)
    return found


class TerminalRun:
    """A command that owns a terminal, as one that a person types; Ctrl-C reaches all of its process group.

    Args:
        run: its folder.
        home: of Prefect and of the project; a warm one starts faster.
        arguments: of ``tinybert``.
    """

    def __init__(self, run: Tiny, home: Path, *arguments: str) -> None:
        self.run, self.home = run, home
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        own = {"PREFECT_HOME": str(home / "prefect"), "TINYBERT_HOME": str(home / "tinybert"), "COLUMNS": "100"}
        self._terminal, inside = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *arguments],
            cwd=run.folder,
            env=kept | own | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - the terminal becomes its own
        )
        os.close(inside)
        self._said = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while read := os.read(self._terminal, 65536):
                self._said += read
        except OSError:  # the last one who had it open is gone
            return

    @property
    def said(self) -> str:
        """What the terminal was sent, without colours and moves of the cursor."""
        lines = re.sub(r"\x1b\[2K|\r", "\n", self._said.decode(errors="replace"))  # where a bar is drawn anew
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\^C", "", lines)

    def type(self, keys: bytes) -> None:
        os.write(self._terminal, keys)

    def checkpoints(self) -> list[Path]:
        return sorted((self.run.folder / "artifacts").glob(".work/*/scratch/training/step-*"))

    def in_training(self) -> list[psutil.Process]:
        """Wait for a checkpoint; what the command has started."""
        until(lambda: self.checkpoints() or self.process.poll() is not None, "a checkpoint")
        assert self.process.poll() is None, self.said
        return psutil.Process(self.process.pid).children(recursive=True)

    def leave(self) -> int:
        """Wait for its end; its exit code."""
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(10)
        return code

    def last_lines(self) -> list[str]:
        """What was said that is no bar."""
        return [
            line
            for line in self.said.splitlines()
            if line.strip() and not re.search("\u2501| in all|: [a-z_]+/v0", line)
        ]

    def flow_run(self) -> tuple[str, str]:
        """Name and type of the state of the newest flow run, as the temporary server wrote them down."""
        with closing(sqlite3.connect(f"file:{self.home}/prefect/prefect.db?mode=ro", uri=True)) as database:
            found = database.execute("SELECT name, state_type FROM flow_run ORDER BY created DESC LIMIT 1").fetchone()
        return str(found[0]), str(found[1])

    def close(self) -> None:
        if self.process.poll() is None:
            for one in [*psutil.Process(self.process.pid).children(recursive=True), self.process]:
                one.kill()
            self.process.wait()
        os.close(self._terminal)


def gone(processes: list[psutil.Process]) -> bool:
    """Whether all of them end; one that nobody has asked for its exit code has ended too."""

    def lives(one: psutil.Process) -> bool:
        try:
            return bool(one.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    until(lambda: not any(map(lives, processes)), "the processes end")
    return True
