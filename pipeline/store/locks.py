"""A lock is held by a living process: the operating system frees it when its holder dies, however it dies."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import StoreError

POLL_SECONDS = 0.2


@contextmanager
def hold(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock file at ``path``; ``on_wait`` is called once if somebody else has it.

    Raises:
        StoreError: the file system cannot lock files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A lock that is merely a file would outlive a killed holder, so there is no fallback to one.
    lock = FileLock(path, fallback_to_soft=False)
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


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock file at ``path`` right now; one that cannot be opened may be held."""
    if not path.exists():
        return True
    lock = FileLock(path, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except (Timeout, OSError):
        return False
    lock.release()
    return True
