"""The labelled rows of a task, on which the teacher is fine-tuned and label-only students are trained."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.tasks.table import TaskData
from pipeline.engine.distil import Rows
from pipeline.engine.rows import write_rows
from pipeline.store.stage import StageRun


def train_rows(run: StageRun, task: TaskData, tokenizer: Any) -> Rows:
    """Tokenise the training rows into the stage's scratch folder; their batches carry gold labels.

    Args:
        run: the stage that trains.
        task: the task.
        tokenizer: the model's fast tokenizer.
    """
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
