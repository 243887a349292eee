"""A running flow holds a lock named after it: who can take that lock knows that the run is over, however it ended.

The operating system frees the lock of a process that dies, so a file that is left and not held is the trace of a
run that was killed. A run of another machine is not judged from here.
"""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

from filelock import FileLock, Timeout

RUNS = ".runs"
SUCCESSION_SECONDS = 10.0  # a sweep may look at the file for a moment
BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Holder:
    """Who runs a flow run.

    Attributes:
        machine: its name; ``boot`` tells one start of it from another, and is the same in its containers.
        server: the Prefect server that was told of the run.
    """

    pid: int
    machine: str
    boot: str
    server: str

    @property
    def here(self) -> bool:
        """Whether its locks mean anything on this machine."""
        return (self.boot != "" and self.boot == _boot()) or self.machine == platform.node()


def holder(server: str) -> Holder:
    """This process."""
    return Holder(os.getpid(), platform.node(), _boot(), server)


@contextmanager
def alive(store: Path, run: UUID, own: Holder) -> Iterator[None]:
    """Hold the lock of a flow run for as long as the block lasts; where none can be had, do without."""
    path = store / RUNS / f"{run}.lock"
    lock = FileLock(path, fallback_to_soft=False)
    with suppress(OSError, Timeout):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=SUCCESSION_SECONDS)
        path.write_text(json.dumps(asdict(own)), encoding="utf-8")
    try:
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            lock.release()


@contextmanager
def dead(store: Path) -> Iterator[list[tuple[UUID, Holder]]]:
    """Flow runs of this machine whose process is gone; nobody can take them up while the block lasts."""
    with ExitStack() as held:
        found = []
        for path in sorted((store / RUNS).glob("*.lock")):
            with suppress(OSError, ValueError, TypeError, Timeout):
                run, holder = UUID(path.stem), Holder(**json.loads(path.read_text(encoding="utf-8")))
                if holder.here:
                    held.enter_context(FileLock(path, fallback_to_soft=False).acquire(blocking=False))
                    found.append((run, holder))
        yield found


def forget(store: Path, run: UUID) -> None:
    """Remove the trace of a dead run: those who asked have been told."""
    with suppress(OSError):
        (store / RUNS / f"{run}.lock").unlink(missing_ok=True)


def traces(store: Path) -> bool:
    """Whether any run has left a trace, living or dead; costs one look at a folder."""
    return any((store / RUNS).glob("*.lock"))


def _boot() -> str:
    try:
        return BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""
