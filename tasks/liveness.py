"""A running flow holds a lock file named after it, so that other processes can tell whether it is still running.

The operating system frees the lock of a process that dies, so a lock file that is left but not held belongs to a run
that was killed. Locks of other machines cannot be tested from here, so their runs are left alone.
"""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

from pipeline.store.locks import try_hold

RUNS = ".runs"
SUCCESSION_SECONDS = 10.0  # another process may be testing the lock for a moment
BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class RunProcess:
    """The process that executes a flow run, as written into its lock file.

    Attributes:
        pid: process number.
        machine: name of the machine.
        boot: id of the machine's last start, the same in its containers; "" if the system has none.
        server: address of the Prefect server that knows the run.
    """

    pid: int
    machine: str
    boot: str
    server: str

    @property
    def here(self) -> bool:
        """Whether it runs on this machine, so that its lock can be tested from here."""
        return (self.boot != "" and self.boot == _boot()) or self.machine == platform.node()


def this_process(server: str) -> RunProcess:
    """Describe this process.

    Args:
        server: address of the Prefect server that knows the run.
    """
    return RunProcess(os.getpid(), platform.node(), _boot(), server)


@contextmanager
def hold_liveness(store: Path, run: UUID, process: RunProcess) -> Iterator[None]:
    """Hold the lock of a flow run while the block runs; if the lock cannot be taken, run without it.

    Args:
        store: folder of the store.
        run: id of the flow run.
        process: the process that executes it, written into the lock file.
    """
    path = store / RUNS / f"{run}.lock"
    with ExitStack() as held:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            if held.enter_context(try_hold(path, SUCCESSION_SECONDS)):
                held.callback(remove_lock_file, store, run)  # before the lock is released
                path.write_text(json.dumps(asdict(process)), encoding="utf-8")
        yield


@contextmanager
def dead_runs(store: Path) -> Iterator[list[tuple[UUID, RunProcess]]]:
    """Yield the flow runs of this machine whose process is gone, and hold their locks while the block runs.

    Args:
        store: folder of the store.
    """
    with ExitStack() as held:
        runs = []
        for path in sorted((store / RUNS).glob("*.lock")):
            with suppress(OSError, ValueError, TypeError):
                run, process = UUID(path.stem), RunProcess(**json.loads(path.read_text(encoding="utf-8")))
                if process.here and held.enter_context(try_hold(path)):
                    runs.append((run, process))
        yield runs


def remove_lock_file(store: Path, run: UUID) -> None:
    """Delete the lock file of a run that is over.

    Args:
        store: folder of the store.
        run: id of the flow run.
    """
    with suppress(OSError):
        (store / RUNS / f"{run}.lock").unlink(missing_ok=True)


def has_lock_files(store: Path) -> bool:
    """Return whether any run, living or dead, has a lock file; reads one folder.

    Args:
        store: folder of the store.
    """
    return any((store / RUNS).glob("*.lock"))


def _boot() -> str:
    try:
        return BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""
