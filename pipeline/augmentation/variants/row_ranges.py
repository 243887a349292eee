"""Ranges of rows, limited by their number and by the length of their text, so that memory is limited too."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute

from pipeline.augmentation.variants.draw import TEXT, TEXT_PAIR

GROUP_ROWS, GROUP_BYTES = 16_384, 1 << 24  # of a Parquet file, at most


def runs(sizes: NDArray[np.int64], most: int, total: int) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of consecutive ranges; a range ends with the row that brings its size to ``total``.

    Args:
        sizes: (rows,), size of each row.
        most: largest number of rows of a range.
        total: size at which a range ends.
    """
    upto, start = np.cumsum(sizes), 0
    while start < len(sizes):
        before = upto[start - 1] if start else 0
        end = min(start + most, int(np.searchsorted(upto, before + total)) + 1, len(sizes))
        yield start, end
        start = end


def text_bytes(rows: pa.RecordBatch | pa.Table) -> NDArray[np.int64]:
    """Return the length of each row's text, (rows,), in bytes."""
    columns = [rows[name] for name in (TEXT, TEXT_PAIR) if name in rows.schema.names]
    lengths = [compute.fill_null(compute.binary_length(column), 0).to_numpy() for column in columns]
    return np.sum(lengths, axis=0, dtype=np.int64)


def groups(tables: Iterable[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield all rows in groups whose bounds depend on the rows alone, not on those of the tables."""
    held = schema.empty_table()
    for table in tables:
        held = pa.concat_tables([held, table])
        *whole, (start, _) = list(runs(text_bytes(held), GROUP_ROWS, GROUP_BYTES)) or [(0, 0)]  # the last one may go on
        yield from (held.slice(begin, end - begin).combine_chunks() for begin, end in whole)
        held = held.slice(start)
    if held.num_rows:
        yield held.combine_chunks()
