"""What every model answered on every row, kept beside its scores: any two runs on the same rows can be paired later."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

PREDICTIONS = "predictions.parquet"
ROW_ID, LABEL = "row_id", "label"
OF = "model "  # before a model's name, so that no name is taken for another column


@dataclass(frozen=True)
class KeptPredictions:
    """The rows that models were judged on, and their answers.

    Attributes:
        row_ids: (rows,) position of each row in its source.
        labels: (rows,) gold labels: class indices or numbers.
        answers: model -> (rows,), as the labels.
    """

    row_ids: np.ndarray
    labels: np.ndarray
    answers: Mapping[str, np.ndarray]


def write_predictions(path: Path, rows: pa.Table, answers: Mapping[str, np.ndarray]) -> None:
    """Write the answers of all models.

    Args:
        path: of the Parquet file.
        rows: table with ``row_id`` and ``label``.
        answers: model -> (rows,), in the order of ``rows``.
    """
    columns = {ROW_ID: rows[ROW_ID], LABEL: rows[LABEL]}
    columns |= {f"{OF}{name}": pa.array(found) for name, found in answers.items()}
    pq.write_table(pa.table(columns), path)


def read_predictions(path: Path) -> KeptPredictions:
    """Read what ``write_predictions`` wrote."""
    table = pq.ParquetFile(path).read()
    return KeptPredictions(
        table[ROW_ID].to_numpy(),
        table[LABEL].to_numpy(),
        {name.removeprefix(OF): table[name].to_numpy() for name in table.column_names if name.startswith(OF)},
    )
