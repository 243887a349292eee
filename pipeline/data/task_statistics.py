"""What a task's tables hold, in numbers: labels of each split, and rows that two splits share."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def label_counts(splits: dict[str, pa.Table], label_names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Rows per label name of each labelled split; for regression the smallest, mean and largest label."""
    counts: dict[str, dict[str, Any]] = {}
    for split, table in splits.items():
        labels = table.column("label")
        if labels.null_count == len(labels):
            continue
        if label_names:
            values = labels.to_numpy()
            counts[split] = {name: int((values == index).sum()) for index, name in enumerate(label_names)}
        else:
            low, high = pc.min_max(labels).as_py().values()
            counts[split] = {"min": low, "mean": pc.mean(labels).as_py(), "max": high}
    return counts


def repeated_rows(splits: dict[str, pa.Table]) -> dict[str, dict[str, int]]:
    """For each development split, how many of its rows stand word for word in what a student learns from."""
    learned = {split: set(_texts(table)) for split, table in splits.items() if not split.startswith("dev")}
    return {
        split: {other: sum(row in rows for row in _texts(table)) for other, rows in learned.items()}
        for split, table in splits.items()
        if split.startswith("dev")
    }


def _texts(table: pa.Table) -> list[tuple[str, ...]]:
    names = [name for name in ("text", "text_pair") if name in table.column_names]
    return list(zip(*(table.column(name).to_pylist() for name in names), strict=True))
