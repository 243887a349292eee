"""Write a token table: rows are collected in memory and written one shard at a time.

A shard gets its name only when it is complete, and ``table.json`` is written last. A folder without it is an
unfinished table, which the next writer starts anew.
"""

import json
import os
from array import array
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from pipeline.data.tokens.table import SHARD_NAME, TABLE_FILE
from pipeline.errors import ModelError

SHARD_ROWS = 1 << 14


class TokenTableWriter:
    """Appends rows to a new table; a context manager that completes the table unless an exception is raised.

    Args:
        folder: folder of the table; it is created, and shards of an earlier table in it are replaced.
        shard_rows: number of rows held in memory before they are written.
        vocab_size: every token id is below it; up to 65,536, a token takes two bytes, above that four.
    """

    def __init__(self, folder: str | Path, shard_rows: int = SHARD_ROWS, vocab_size: int = 1 << 16) -> None:
        self._folder = Path(folder)
        self._shard_rows = shard_rows
        self._vocab_size = vocab_size
        self._dtype = np.uint16 if vocab_size <= 1 << 16 else np.int32
        self._num_rows = self._num_shards = 0
        self._extra_types: dict[str, str] | None = None
        self._has_types = False
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / TABLE_FILE).unlink(missing_ok=True)
        for stale in self._folder.glob("shard-*.arrow*"):
            stale.unlink()
        self._clear()

    def append(self, input_ids: list[int], token_type_ids: list[int] | None = None, **columns: float) -> None:
        """Add one row; every row of a table has the same columns.

        Args:
            input_ids: (tokens,), token ids.
            token_type_ids: (tokens,), segment of each token; None without segments.
            columns: name -> integer or float of this row, such as ``label`` or ``row_id``.
        """
        if self._extra_types is None:
            self._extra_types = {name: "q" if _is_integer(value) else "d" for name, value in columns.items()}
            self._has_types = token_type_ids is not None
            self._clear()
        if columns.keys() != self._extra_types.keys() or (token_type_ids is not None) != self._has_types:
            raise ValueError(f"row {self._num_rows} has other columns than the rows before it")
        if token_type_ids is not None:
            if len(token_type_ids) != len(input_ids):
                raise ValueError(f"{len(input_ids)} tokens but {len(token_type_ids)} token types")
            self._types.extend(token_type_ids)
        self._tokens.extend(input_ids)
        self._offsets.append(len(self._tokens))
        for name, value in columns.items():
            self._extra[name].append(value)  # type: ignore[arg-type]
        self._num_rows += 1
        if len(self._offsets) > self._shard_rows:
            self._write_shard()

    def close(self) -> None:
        """Write the last shard and the table's description."""
        if len(self._offsets) > 1:
            self._write_shard()
        description = {"rows": self._num_rows, "shards": self._num_shards, "vocab_size": self._vocab_size}
        _replace(self._folder / TABLE_FILE, json.dumps(description).encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()

    def _clear(self) -> None:
        self._tokens = array("i")
        self._types = array("B")
        self._offsets = array("i", [0])
        self._extra = {name: array(code) for name, code in (self._extra_types or {}).items()}

    def _write_shard(self) -> None:
        tokens = np.frombuffer(self._tokens, np.int32) if self._tokens else np.zeros(0, np.int32)
        if len(tokens) and not (tokens.min() >= 0 and tokens.max() < self._vocab_size):
            raise ModelError(
                f"token ids from {tokens.min()} to {tokens.max()} with a vocabulary of {self._vocab_size}: "
                "use the tokenizer the model was trained with"
            )
        offsets = pa.array(np.frombuffer(self._offsets, np.int32))
        fields: dict[str, Any] = {"input_ids": pa.ListArray.from_arrays(offsets, pa.array(tokens.astype(self._dtype)))}
        if self._has_types:
            types = np.frombuffer(self._types, np.uint8) if self._types else np.zeros(0, np.uint8)
            fields["token_type_ids"] = pa.ListArray.from_arrays(offsets, pa.array(types))
        for name, values in self._extra.items():
            fields[name] = pa.array(np.frombuffer(values, np.dtype(values.typecode)))
        batch = pa.record_batch(fields)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, batch.schema) as file:
            file.write_batch(batch)
        _replace(self._folder / SHARD_NAME.format(self._num_shards), sink.getvalue())
        self._num_shards += 1
        self._clear()


def _is_integer(value: float) -> bool:
    return isinstance(value, int | np.integer)


def _replace(path: Path, content: bytes) -> None:
    """Write a file under another name and move it into place whole."""
    unfinished = path.with_name(path.name + ".tmp")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
