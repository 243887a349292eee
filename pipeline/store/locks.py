"""File locks for the store, the devices and the runs: held by a living process, freed by the system when it dies.

A lease is a list of the artifacts that a run uses, in a file that the run's process locks. They are not pruned while
the process lives, however it ends.
"""

import errno
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import StoreError
from pipeline.store.layout import Layout

POLL_SECONDS = 0.2


@contextmanager
def hold(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock while the block runs, waiting for it as long as necessary.

    Args:
        path: the lock file; its folder is created.
        on_wait: called once if another process holds the lock.

    Raises:
        StoreError: the file system cannot lock files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = _lock(path)
    try:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            on_wait()
            lock.acquire(poll_interval=POLL_SECONDS)
    except OSError as error:
        if error.errno in {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}:
            raise StoreError(
                f"the file system of {path.parent.parent} cannot lock files: set runtime.store to a local disk"
            ) from error
        raise
    try:
        yield
    finally:
        lock.release()


@contextmanager
def try_hold(path: Path, seconds: float = 0.0) -> Iterator[bool]:
    """Hold a lock while the block runs if it can be had in time; yields whether it is held.

    Args:
        path: the lock file; its folder has to exist.
        seconds: how long to wait for it.

    Raises:
        OSError: the lock file cannot be opened, or the file system cannot lock files.
    """
    lock = _lock(path)
    try:
        lock.acquire(timeout=seconds, blocking=seconds > 0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def is_free(path: Path) -> bool:
    """Return whether no process holds a lock now; False too if its file cannot be opened, for it may be held.

    Args:
        path: the lock file; one that does not exist is free.
    """
    if not path.exists():
        return True
    try:
        with try_hold(path) as free:
            return free
    except OSError:
        return False


def _lock(path: Path) -> FileLock:
    # A lock that is merely a file would outlive a killed holder, so there is no fallback to one.
    return FileLock(path, fallback_to_soft=False)


_lease: ContextVar[Path | None] = ContextVar("lease", default=None)  # the file of this process's run


@contextmanager
def leasing(layout: Layout) -> Iterator[None]:
    """Hold a lease while the block runs; a store that cannot be written needs none, because it cannot be pruned."""
    path = layout.leases / f"{uuid.uuid4().hex}.json"
    lock = path.with_suffix(".lock")
    with ExitStack() as held:
        with suppress(OSError), inventory(layout):
            held.enter_context(hold(lock))
        token = _lease.set(path)
        try:
            yield
        finally:
            _lease.reset(token)
            with suppress(OSError):
                path.unlink(missing_ok=True)
                lock.unlink(missing_ok=True)


def lease(layout: Layout, ref: str) -> None:
    """Add the reference of an artifact to this run's lease in a store, if it has one and can be written."""
    path = _lease.get()
    if path is not None and path.parent == layout.leases:
        with suppress(OSError), inventory(layout), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(ref) + "\n")


def leased(layout: Layout) -> list[str]:
    """Return the references that living runs hold."""
    refs: list[str] = []
    for lock in layout.leases.glob("*.lock"):
        with suppress(FileNotFoundError):  # nothing is noted yet, or the run has just ended
            if not is_free(lock):
                refs += map(json.loads, lock.with_suffix(".json").read_text(encoding="utf-8").splitlines())
    return refs


def forget_dead(layout: Layout) -> None:
    """Delete the leases of runs that were killed; the caller holds the inventory."""
    for lock in layout.leases.glob("*.lock"):
        if is_free(lock):
            lock.with_suffix(".json").unlink(missing_ok=True)
            lock.unlink(missing_ok=True)


def inventory(layout: Layout) -> AbstractContextManager[None]:
    """Hold the lock under which needs are written down, and under which what is not needed is removed."""
    return hold(layout.lock("inventory"))
