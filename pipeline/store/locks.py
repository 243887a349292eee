"""File locks, for the store, the devices and the runs: held by a living process, freed by the system when it dies."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import StoreError

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
