"""Write files whole or not at all, delete folders whole, and turn disk errors into one line for the user."""

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
    """Write a file so that a reader, or a crash, sees either the old file or the new one.

    Args:
        path: the file; its folder is created.
        data: its new content.

    Raises:
        OSError: it could not be written; the old file is unchanged.
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
    """Give a file the permissions that the umask gives any new file, whichever library wrote it.

    Some libraries write a temporary file that only its owner may read. The umask is taken from the permissions of the
    folder, which was created under it; reading it from the system would change it for all threads for a moment.
    """
    usual = stat.S_IMODE(path.parent.stat().st_mode) & 0o666
    if stat.S_IMODE(path.stat().st_mode) != usual:
        path.chmod(usual)


def move_aside(path: Path, folder: Path) -> Path:
    """Move a file or folder into another folder under a new unique name, in one step; return its new path."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{path.parent.name}~{path.name}~{uuid.uuid4().hex[:8]}"
    path.rename(target)
    return target


def remove(path: Path, trash: Path) -> None:
    """Delete a folder so that a crash leaves it whole or gone, never partly deleted.

    Args:
        path: the folder.
        trash: folder on the same disk that it is moved to first.
    """
    delete(move_aside(path, trash))


def delete(path: Path) -> None:
    """Delete a file, a link or a folder as far as it can be; a link is not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files in a folder; links are not followed, files deleted meanwhile count as 0."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_size if not path.is_dir() else 0
    return total


def check_folder(root: Path) -> None:
    """Refuse a store whose path cannot be a folder.

    Args:
        root: folder of the store; it need not exist.

    Raises:
        StoreError: ``root`` or a folder above it is a file.
    """
    with store_errors(root):
        existing = next(path for path in (root.absolute(), *root.absolute().parents) if path.exists())
        if not existing.is_dir():
            raise StoreError(f"cannot use the store {root}: {existing} is not a folder; set runtime.store to a folder")


def check_writable(root: Path) -> None:
    """Create the store's folder and check that files can be written into it.

    Args:
        root: folder of the store.

    Raises:
        StoreError: it cannot be created or written.
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
    """Turn errors of a full or write-protected disk in this block into a ``StoreError`` of one line.

    Errors about paths outside the store pass through unchanged. A full disk is recognised by the text of the error as
    well, since libraries written in other languages raise types of their own.

    Args:
        root: folder of the store.

    Raises:
        StoreError: the disk of the store is full or cannot be written.
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
    """Return one line for an error that the store's disk caused, None for any other error."""
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
    """Return whether a path lies in the store or is a folder above it."""
    if not isinstance(filename, (str, os.PathLike)):
        return False
    path, store = Path(filename).resolve(), root.resolve()  # locks name the folder that a link leads to
    return path.is_relative_to(store) or store.is_relative_to(path)
