"""A table of logits: one Arrow IPC file of fixed-size float32 lists, read without loading it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.store.disk import write_atomic


def write_logits(path: Path, logits: NDArray[np.float32]) -> None:
    """Write logits, (rows, classes), atomically: the file is complete or does not exist."""
    column = pa.FixedSizeListArray.from_arrays(pa.array(logits.reshape(-1)), logits.shape[1])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, pa.schema([("logits", column.type)])) as writer:
        writer.write_table(pa.table({"logits": column}))
    write_atomic(path, sink.getvalue())


def read_logits(path: Path) -> NDArray[np.float32]:
    """Read logits, (rows, classes), float32; a file of one shard is memory-mapped."""
    with pa.memory_map(str(path)) as source:
        column = pa.ipc.open_file(source).read_all()["logits"]
    classes = column.type.list_size
    chunks = [chunk.flatten().to_numpy().reshape(len(chunk), classes) for chunk in column.chunks]
    return chunks[0] if len(chunks) == 1 else np.concatenate([np.empty((0, classes), np.float32), *chunks])


def join_logits(shards: Sequence[Path], path: Path) -> None:
    """Join the logits of several shards into one file, in order."""
    write_logits(path, np.concatenate([read_logits(shard) for shard in shards]))
