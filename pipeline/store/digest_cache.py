"""A digest cache keeps the SHA-256 of files that have not changed, so that a repeated request costs a stat.

A file is the same if its path, size, inode, modification and change times are. A file that is written twice within one
tick of the clock looks unchanged, so a digest taken less than two seconds after a change is not used (git's "racily
clean" entries).
"""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pipeline.store.disk import write_atomic
from pipeline.store.fingerprint import digest_file

RACY_NS = 2_000_000_000
Entry = list[int | str]  # [size, mtime_ns, ctime_ns, inode, recorded_ns, sha256]


class DigestCache:
    """Digests of files, inside and outside the store, kept in one JSON file.

    Writers replace the whole file, so a reader never sees an incomplete one. If two processes write at once, the
    entries of one may be lost: that costs a read later, never a wrong digest.

    Args:
        path: file of the cache; a missing, unreadable or damaged file counts as empty.
        clock: time in seconds since the epoch; the machine's when None.
    """

    def __init__(self, path: Path, clock: Callable[[], float] | None = None) -> None:
        self._path = path
        self._clock = clock or time.time
        self._entries: dict[str, Entry] | None = None
        self._new: dict[str, Entry] = {}

    def digest(self, path: Path) -> str:
        """Return the SHA-256 of a file's content; the file is only read if it may have changed.

        Raises:
            OSError: the file cannot be read.
        """
        key = str(path.absolute())
        before = _identity(path)
        if self._entries is None:
            self._entries = self._read()
        known = self._entries.get(key)
        if known is not None and known[:4] == before and _settled(known):
            return str(known[5])
        digest = digest_file(path)
        entry: Entry = [*before, int(self._clock() * 1e9), digest]
        if _identity(path) == before and _settled(entry):
            self._entries[key] = self._new[key] = entry
        return digest

    def forget(self, folder: Path) -> None:
        """Remove the digests of all files in a folder."""
        inside = str(folder.absolute()) + os.sep
        stored = self._read()
        kept = {path: entry for path, entry in stored.items() if not path.startswith(inside)}
        self._entries = None
        if len(kept) < len(stored):
            with suppress(OSError):
                write_atomic(self._path, json.dumps(kept, indent=0).encode())

    def save(self) -> None:
        """Write new digests to the file; if the store does not exist or cannot be written, they are lost."""
        if not self._new or not self._path.parent.is_dir():
            return
        entries = {path: entry for path, entry in self._read().items() if Path(path).exists()} | self._new
        with suppress(OSError):
            write_atomic(self._path, json.dumps(entries, indent=0).encode())
            self._new = {}

    def _read(self) -> dict[str, Entry]:
        """Return all well-formed entries of the file."""
        try:
            entries = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        if not isinstance(entries, dict):
            return {}
        return {path: entry for path, entry in entries.items() if _well_formed(entry)}


def _identity(path: Path) -> Entry:
    """Return the attributes of a file that change with its content."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _settled(entry: Entry) -> bool:
    """Return whether the digest was taken long enough after the file's last change."""
    _, modified, changed, _, recorded, _ = entry
    return int(recorded) - max(int(modified), int(changed)) > RACY_NS


def _well_formed(entry: object) -> bool:
    """Return whether a value read from disk is an entry."""
    return isinstance(entry, list) and [type(value) for value in entry] == [int] * 5 + [str]
