"""What the store does to a disk: write whole or not at all, and say in one line why it could not."""

import errno
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import PipelineError, StoreError

FULL = {errno.ENOSPC, errno.EDQUOT}
REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM}
NOT_A_FOLDER = {errno.ENOTDIR, errno.EEXIST}


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` so that a reader, or a crash, sees the old file or the new one.

    Raises:
        OSError: it could not be written; the old file is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}.draft")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Make a file's content, or a folder's list of names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def give_usual_mode(path: Path) -> None:
    """Give a file the permissions that the umask gives any new file, whatever library wrote it.

    Some write through a temporary file of their own, which nobody else may read. The umask shows in the folder, which
    was made under it; asking the system for the umask itself would change it for all threads.
    """
    usual = stat.S_IMODE(path.parent.stat().st_mode) & 0o666
    if stat.S_IMODE(path.stat().st_mode) != usual:
        path.chmod(usual)


def move_aside(path: Path, folder: Path) -> Path:
    """Rename ``path`` into ``folder`` under a name of its own, in one step; returns the new place."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{path.parent.name}~{path.name}~{uuid.uuid4().hex[:8]}"
    path.rename(target)
    return target


def remove(path: Path, trash: Path) -> None:
    """Delete a folder so that a crash on the way leaves it whole or gone, never half there."""
    delete(move_aside(path, trash))


def delete(path: Path) -> None:
    """Delete a file, a link or a folder as far as it can be; a link is not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def folder_bytes(folder: Path) -> int:
    """What the files in a folder hold, links not followed; what vanishes meanwhile counts nothing."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_size if not path.is_dir() else 0
    return total


def check_folder(root: Path) -> None:
    """Refuse a store that can never be a folder, before anything is asked of it or planned for it.

    Raises:
        StoreError: something that is no folder lies at ``root``, or where a folder above it would be.
    """
    with store_errors(root):
        there = next(path for path in (root.absolute(), *root.absolute().parents) if path.exists())
        if not there.is_dir():
            raise StoreError(f"cannot use the store {root}: {there} is not a folder; set runtime.store to a folder")


def check_writable(root: Path) -> None:
    """Make the store's folder, and see that something can be written into it.

    Raises:
        StoreError: it cannot be made, or written.
    """
    with store_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        probe = root / f".{uuid.uuid4().hex}.draft"
        try:
            probe.touch()
        finally:
            probe.unlink(missing_ok=True)


@contextmanager
def store_errors(root: Path) -> Iterator[None]:
    """Turn a disk that is full or must not be written into a ``StoreError`` of one line.

    A refusal outside the store is not the store's: it passes through as it is. A full disk is
    recognised by its text as well, since libraries written in other languages raise types of
    their own for it.
    """
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:
        message = _complaint(error, root)
        if message is None:
            raise
        raise StoreError(message) from error


def _complaint(error: Exception, root: Path) -> str | None:
    """One line for an error that the store's disk caused, or None for any other."""
    if getattr(error, "errno", None) in FULL or os.strerror(errno.ENOSPC) in str(error):
        return (
            f"no space left for the store {root}: free some (tinybert artifacts prune), or set runtime.store "
            "to a larger disk, and run again; every finished stage is kept and the unfinished one resumes"
        )
    if not isinstance(error, OSError) or not _concerns(error.filename, root):
        return None
    # A file system that has no place for folders of ours (/proc) says that there is no such file.
    impossible = NOT_A_FOLDER | {errno.ENOENT, errno.EINVAL}
    if error.errno not in REFUSED and (error.errno not in impossible or root.is_dir()):
        return None
    return (
        f"cannot use the store {root}: {error.strerror} ({error.filename}); make it writable, or set "
        "runtime.store to a folder that is, and run again; nothing finished is lost"
    )


def _concerns(filename: object, root: Path) -> bool:
    """Whether a path lies in the store, or is one of the folders it would be created in."""
    if not isinstance(filename, (str, os.PathLike)):
        return False
    path, store = Path(filename).resolve(), root.resolve()  # locks name the folder that a link leads to
    return path.is_relative_to(store) or store.is_relative_to(path)
