"""A token table holds token sequences on disk; it is read without loading it.

It is a folder of shards and a ``table.json``. A shard is an Arrow IPC file with the columns ``input_ids`` (list of
uint16, or int32 for large vocabularies), optionally ``token_type_ids`` (list of uint8), and any integer or float
columns. An opened shard is one flat memory-mapped array of values and one of offsets: a row is a slice, and nothing is
copied until a batch is built.

Rows are written one shard at a time. A shard gets its name when it is complete, and ``table.json`` is written last. A
folder without it is an unfinished table, which the next writer starts anew.
"""

import json
from array import array
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.errors import DataError, ModelError
from pipeline.store.disk import write_atomic

TABLE_FILE = "table.json"
SHARD_NAME = "shard-{:05d}.arrow"
SHARD_ROWS = 1 << 14
LISTS = ("input_ids", "token_type_ids")

Array = npt.NDArray[Any]


class _Chunk(NamedTuple):
    """One record batch: flat values of each list column, its offsets, and the plain columns."""

    offsets: Array
    values: dict[str, Array]
    columns: dict[str, Array]


class TokenTable:
    """The rows of a token table, by index.

    Attributes:
        lengths: (rows,), int32, the number of tokens of each row.
        columns: names of the columns beside the tokens.
    """

    def __init__(self, chunks: Sequence[_Chunk]) -> None:
        self._chunks = chunks
        sizes = [len(chunk.offsets) - 1 for chunk in chunks]
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
        lengths = [np.diff(chunk.offsets).astype(np.int32) for chunk in chunks]
        self.lengths: npt.NDArray[np.int32] = np.concatenate([np.zeros(0, np.int32), *lengths])
        self.columns: tuple[str, ...] = tuple(chunks[0].columns) if chunks else ()

    @classmethod
    def open(cls, folder: str | Path) -> "TokenTable":
        """Map the shards of a folder into memory.

        Raises:
            DataError: the folder is not a complete token table.
        """
        folder = Path(folder)
        try:
            description = json.loads((folder / TABLE_FILE).read_text(encoding="utf-8"))
            names = [SHARD_NAME.format(shard) for shard in range(description["shards"])]
            table = cls([chunk for name in names for chunk in _read_shard(folder / name)])
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise DataError(f"{folder}: not a complete token table ({error}): build it again") from None
        if len(table) != description["rows"]:
            raise DataError(
                f"{folder}: {len(table)} rows where {TABLE_FILE} says {description['rows']}: build it again"
            )
        return table

    def __len__(self) -> int:
        return int(self._starts[-1])

    def rows(self, indices: Sequence[int] | Array, pad_id: int = 0, pad_to: int | None = None) -> dict[str, Array]:
        """Return rows as padded arrays.

        Args:
            indices: (rows,), row indices in any order; repeats are allowed.
            pad_id: id of the padding token.
            pad_to: width of the arrays; None pads to the longest of the rows.

        Returns:
            ``input_ids`` and ``token_type_ids`` (rows, width), int64; ``attention_mask`` (rows, width),
            bool, True for tokens; every other column (rows,), int64 or float64.

        Raises:
            IndexError: an index is outside the table.
            ValueError: a row is longer than ``pad_to``.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        if len(chosen) and not (chosen.min() >= 0 and chosen.max() < len(self)):
            raise IndexError(f"rows {chosen.min()} to {chosen.max()} of a table of {len(self)}")
        lengths = self.lengths[chosen]
        longest = int(lengths.max(initial=0))
        width = longest if pad_to is None else pad_to
        if longest > width:
            raise ValueError(f"a row of {longest} tokens does not fit into {width}")
        batch: dict[str, Array] = {
            "input_ids": np.full((len(chosen), width), pad_id, np.int64),
            "attention_mask": np.arange(width) < lengths[:, None],
            "token_type_ids": np.zeros((len(chosen), width), np.int64),
        }
        places = np.searchsorted(self._starts, chosen, side="right") - 1
        for row, (place, local) in enumerate(zip(places, chosen - self._starts[places], strict=True)):
            chunk = self._chunks[place]
            start, end = int(chunk.offsets[local]), int(chunk.offsets[local + 1])
            for name, values in chunk.values.items():
                batch[name][row, : end - start] = values[start:end]
        for name in self.columns:
            batch[name] = self._pick(name, places, chosen - self._starts[places])
        return batch

    def column(self, name: str) -> Array:
        """Return a whole column other than the tokens, (rows,), int64 or float64.

        Raises:
            DataError: the table has no such column; names those it has.
        """
        if name not in self.columns:
            raise DataError(f"no column {name!r} in this table: it has {', '.join(self.columns) or 'none'}")
        return np.concatenate([chunk.columns[name] for chunk in self._chunks])

    def _pick(self, name: str, places: Array, local: Array) -> Array:
        picked = np.empty(len(places), self._chunks[0].columns[name].dtype)
        for place in np.unique(places):
            here = places == place
            picked[here] = self._chunks[place].columns[name][local[here]]
        return picked


def _read_shard(path: Path) -> list[_Chunk]:
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    return [_chunk(reader.get_batch(index)) for index in range(reader.num_record_batches)]


def _chunk(batch: pa.RecordBatch) -> _Chunk:
    # ``offsets`` and ``values`` ignore a slice in the same way, so they stay aligned with each other.
    lists = {name: batch.column(name) for name in LISTS if name in batch.schema.names}
    columns = [name for name in batch.schema.names if name not in LISTS]
    return _Chunk(
        offsets=lists["input_ids"].offsets.to_numpy(zero_copy_only=True),
        values={name: column.values.to_numpy(zero_copy_only=True) for name, column in lists.items()},
        columns={name: batch.column(name).to_numpy(zero_copy_only=True) for name in columns},
    )


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
        for stale in [*self._folder.glob("shard-*.arrow*"), *self._folder.glob(f"{TABLE_FILE}*")]:
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
            self._extra_types = {
                name: "q" if isinstance(value, int | np.integer) else "d" for name, value in columns.items()
            }
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
        write_atomic(self._folder / TABLE_FILE, json.dumps(description).encode())

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
        tokens = np.asarray(self._tokens)
        if len(tokens) and not (tokens.min() >= 0 and tokens.max() < self._vocab_size):
            raise ModelError(
                f"token ids from {tokens.min()} to {tokens.max()} with a vocabulary of {self._vocab_size}: "
                "use the tokenizer the model was trained with"
            )
        offsets = pa.array(np.asarray(self._offsets))
        fields: dict[str, Any] = {"input_ids": pa.ListArray.from_arrays(offsets, pa.array(tokens.astype(self._dtype)))}
        if self._has_types:
            fields["token_type_ids"] = pa.ListArray.from_arrays(offsets, pa.array(np.asarray(self._types)))
        for name, values in self._extra.items():
            fields[name] = pa.array(np.asarray(values))
        batch = pa.record_batch(fields)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, batch.schema) as file:
            file.write_batch(batch)
        write_atomic(self._folder / SHARD_NAME.format(self._num_shards), sink.getvalue())
        self._num_shards += 1
        self._clear()
