"""A feature table stores a teacher's features on disk: for each batch, ``width`` float32 numbers a real token.

Batches lie one after another in shards. The file ``checksums`` holds 64 bits (XXH3) a batch, 0 for a batch that is
not stored yet. The data are written first and the checksum after them, and every read is compared with it: a batch
that a kill, a power cut or a bad disk left incomplete counts as absent. All of it can be computed again.

Shards are read and written at positions instead of being memory-mapped: the page cache serves both, but a full disk
or a truncated file raises an error here, where a map would end the process with SIGBUS.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64

CHECKSUMS = "checksums"
SHARD_BYTES = 1 << 30
ALIGNED_BYTES = 64  # as torch's own memory is: products of what lies elsewhere may differ in their last bits
CHECKSUM_BYTES = 8
Values = NDArray[np.float32]


class FeatureTable:
    """Features of batches, by batch number; several processes may write it at once if they write the same values.

    Args:
        folder: folder of the table; it has to exist before anything is written.
        tokens: (batches,), number of real tokens of each batch.
        width: float32 numbers a token.
        shard_bytes: largest size of a shard in bytes; a shard is a run of whole batches, or a single larger batch.
    """

    def __init__(self, folder: Path, tokens: Sequence[int], width: int, shard_bytes: int = SHARD_BYTES) -> None:
        self.folder = folder
        self.tokens = np.asarray(tokens, np.int64)
        self.width = width
        self._places = shard_places((self.tokens * width * 4).tolist(), shard_bytes)
        self._checksums = _read_checksums(folder / CHECKSUMS, len(self.tokens))

    @property
    def stored(self) -> float:
        """Share of the tokens whose batch has a checksum, 0 to 1; the data are not read."""
        return float(self.tokens[self._checksums > 0].sum() / max(1, self.tokens.sum()))

    def read(self, batch: int, salt: bytes) -> Values | None:
        """Read the features of a batch; None if they are missing, incomplete or of other inputs.

        Args:
            batch: number of the batch.
            salt: bytes of the inputs that the features were computed from; part of the checksum.

        Returns:
            (tokens * width,), float32, aligned to 64 bytes.
        """
        if not self._checksums[batch]:
            return None
        values = _aligned(int(self.tokens[batch]) * self.width)
        shard, start = self._places[batch]
        try:
            with self._shard(shard).open("rb") as file:
                file.seek(start)
                complete = file.readinto(_bytes(values)) == values.nbytes
        except OSError:
            return None
        return values if complete and _checksum(values, salt) == self._checksums[batch] else None

    def write(self, batch: int, values: Values, salt: bytes) -> None:
        """Write the features of a batch.

        Args:
            batch: number of the batch.
            values: (tokens * width,), float32.
            salt: bytes of the inputs that the features were computed from; part of the checksum.

        Raises:
            OSError: they cannot be written, for instance because the disk is full; the batch then counts as absent.
        """
        shard, start = self._places[batch]
        with _opened(self._shard(shard), os.O_WRONLY | os.O_CREAT) as file:
            _write_fully(file, _bytes(values), start)
        checksum = _checksum(values, salt)
        with _opened(self.folder / CHECKSUMS, os.O_WRONLY | os.O_CREAT) as file:
            _write_fully(file, memoryview(np.uint64(checksum).tobytes()), CHECKSUM_BYTES * batch)
        self._checksums[batch] = checksum

    def forget(self, batch: int) -> None:
        """Drop a batch from the page cache, so that timing its next read measures the disk."""
        if not hasattr(os, "posix_fadvise"):
            return
        shard, start = self._places[batch]
        with _opened(self._shard(shard), os.O_RDWR) as file:
            os.fsync(file)
            os.posix_fadvise(file, start, int(self.tokens[batch]) * self.width * 4, os.POSIX_FADV_DONTNEED)

    def _shard(self, number: int) -> Path:
        return self.folder / f"shard-{number:05d}.f32"


def shard_places(sizes: Sequence[int], shard_bytes: int) -> list[tuple[int, int]]:
    """Assign batches to shards.

    Args:
        sizes: bytes of each batch.
        shard_bytes: largest size of a shard.

    Returns:
        For each batch, the number of its shard and its first byte there.
    """
    places, shard, end = [], 0, 0
    for size in sizes:
        if end and end + size > shard_bytes:
            shard, end = shard + 1, 0
        places.append((shard, end))
        end += size
    return places


def disk_bytes(folder: Path) -> int:
    """Return the bytes that a folder takes on the disk; files that are deleted meanwhile count as 0."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_blocks * 512
    return total


def make_room(cache_dir: Path, needed: int, budget: int, keep: Path) -> list[Path]:
    """Delete the least recently used tables until ``needed`` more bytes fit within the budget.

    The modification time of a table's folder says when it was last used. A process that still uses a deleted table
    computes its features again.

    Args:
        cache_dir: folder of all tables.
        needed: bytes that ``keep`` will take.
        budget: bytes that all tables together may take.
        keep: folder of the table that is not deleted.

    Returns:
        The folders that were deleted.
    """
    others = [path for path in cache_dir.iterdir() if path.is_dir() and path != keep]
    sizes = {path: disk_bytes(path) for path in others}
    taken, gone = needed + sum(sizes.values()), []
    for path in sorted(others, key=_last_used):
        if taken <= budget:
            break
        shutil.rmtree(path, ignore_errors=True)
        taken -= sizes[path]
        gone.append(path)
    return gone


def _last_used(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _bytes(values: Values) -> memoryview:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8).data


def _aligned(count: int) -> Values:
    spare = ALIGNED_BYTES // 4
    whole = np.empty(count + spare, np.float32)
    first = -(whole.ctypes.data // 4) % spare
    return whole[first : first + count]


def _checksum(values: Values, salt: bytes) -> int:
    state = xxh3_64(salt)
    state.update(_bytes(values))
    return state.intdigest() or 1  # 0 says that there is nothing


def _read_checksums(path: Path, count: int) -> NDArray[np.uint64]:
    try:
        data = path.read_bytes()
    except OSError:
        data = b""
    size = CHECKSUM_BYTES * count
    return np.frombuffer(data[:size].ljust(size, b"\0"), np.uint64).copy()


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    file = os.open(path, flags, 0o666)
    try:
        yield file
    finally:
        os.close(file)


def _write_fully(file: int, view: memoryview, start: int) -> None:
    while len(view):
        count = os.pwrite(file, view, start)
        view, start = view[count:], start + count
