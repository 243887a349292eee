"""What a task's tables hold, in numbers: the labels of each split."""

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
