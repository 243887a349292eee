"""A digest cache remembers the SHA-256 of files that have not changed, so that asking again costs a stat.

A file is the same while its path, size, inode, modification and change times are. That is not quite
enough: a file written twice within one tick of the clock looks unchanged, so a digest taken less
than two seconds after a change is never trusted (git's "racily clean" entries).
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

    Writers replace the file whole, so a reader sees one version or another and never half of one. Of
    two writers at once one may be forgotten: that costs a read later, never a wrong digest.

    Args:
        path: where the cache is kept; a missing, unreadable or spoiled file counts as empty.
        clock: time in seconds since the epoch; the machine's when None.
    """

    def __init__(self, path: Path, clock: Callable[[], float] | None = None) -> None:
        self._path = path
        self._clock = clock or time.time
        self._entries: dict[str, Entry] | None = None
        self._new: dict[str, Entry] = {}

    def digest(self, path: Path) -> str:
        """SHA-256 of the content of ``path``, read only if it may have changed.

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
        """Have every file in a folder read again when it is next asked for."""
        inside = str(folder.absolute()) + os.sep
        known = self._read()
        kept = {path: entry for path, entry in known.items() if not path.startswith(inside)}
        self._entries = None
        if len(kept) < len(known):
            with suppress(OSError):
                write_atomic(self._path, json.dumps(kept, indent=0).encode())

    def save(self) -> None:
        """Keep what was learned; a store that is not there or cannot be written just learns nothing."""
        if not self._new or not self._path.parent.is_dir():
            return
        entries = {path: entry for path, entry in self._read().items() if Path(path).exists()} | self._new
        with suppress(OSError):
            write_atomic(self._path, json.dumps(entries, indent=0).encode())
            self._new = {}

    def _read(self) -> dict[str, Entry]:
        """Every well-formed entry on disk."""
        try:
            entries = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        if not isinstance(entries, dict):
            return {}
        return {path: entry for path, entry in entries.items() if _well_formed(entry)}


def _identity(path: Path) -> Entry:
    """What changes when a file's content does."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _settled(entry: Entry) -> bool:
    """Whether the digest was taken long enough after the file's last change."""
    _, modified, changed, _, recorded, _ = entry
    return int(recorded) - max(int(modified), int(changed)) > RACY_NS


def _well_formed(entry: object) -> bool:
    """Whether a value read from disk is an entry."""
    if not isinstance(entry, list) or len(entry) != 6:
        return False
    return all(isinstance(number, int) for number in entry[:5]) and isinstance(entry[5], str)
