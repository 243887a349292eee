"""The labelled rows of a task, as fine-tuning and label-only students learn from them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.tasks.table import TaskData
from pipeline.engine.distil import Rows
from pipeline.engine.rows import write_rows
from pipeline.store.stage import StageRun


def train_rows(run: StageRun, task: TaskData, tokenizer: Any) -> Rows:
    """The training rows, tokenised into the stage's scratch folder, each batch with its gold labels."""
    table = write_rows(
        run.scratch / "train",
        [task.splits["train"]],
        tokenizer,
        max_length=task.max_length,
        progress=run.progress,
    )
    labels = table.column("label").astype(np.float32 if task.kind == "regression" else np.int64)

    def columns(rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        return {"labels": labels[rows]}

    return Rows(table, tokenizer.pad_token_id, task.max_length, columns=columns)
