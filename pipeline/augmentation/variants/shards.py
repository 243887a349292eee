"""A build in shards: from one Arrow file of batches, one file for each batch.

Files are written whole or not at all. So any worker may make any shard, and a build that was killed continues with
the missing shards.
"""

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from pyarrow import ipc

from pipeline.progress import Progress
from pipeline.store.fan_out import FanOut, Work


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write that gets its name when the block ends without an error; several may write at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}.draft")
    try:
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_batches(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write batches into one Arrow file, one after the other."""
    with replacing(path) as file, ipc.new_file(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def open_batches(path: Path) -> ipc.RecordBatchFileReader:
    """Open an Arrow file by batches, mapped into memory, so that only the batches in use are read."""
    return ipc.open_file(pa.memory_map(str(path)))


def shard_path(folder: Path, number: int) -> Path:
    """Return the path of a shard."""
    return folder / f"shard-{number:07d}"


def make_shards(work: Work, cut: Path, folder: Path, fan_out: FanOut, progress: Progress) -> list[Path]:
    """Make the missing shards.

    Args:
        work: makes the shard of a number.
        cut: Arrow file of the rows, a batch for each shard.
        folder: folder of the shards, which keeps them between attempts at the same build.
        fan_out: calls ``work`` for each missing shard, here or elsewhere.
        progress: receives the number of rows done.

    Returns:
        The files, in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sizes = batch_sizes(cut)
    paths = [shard_path(folder, number) for number in range(len(sizes))]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    if len(missing) < len(sizes):
        progress.note(f"resumed: {len(sizes) - len(missing)} of {len(sizes)} shards were already there")
    total = sum(sizes)
    done = total - sum(sizes[number] for number in missing)
    progress.update(done, total)
    for number in fan_out(partial(_unless_there, work, folder), missing):
        done += sizes[number]
        progress.update(done, total)
    return paths


def batch_sizes(path: Path) -> list[int]:
    """Return the number of rows of each batch of an Arrow file."""
    file = open_batches(path)
    return [file.get_batch(number).num_rows for number in range(file.num_record_batches)]


def _unless_there(work: Work, folder: Path, number: int) -> None:
    """Make a shard unless it exists: it may have been assigned twice."""
    if not shard_path(folder, number).exists():
        work(number)
