"""Compute a model's logits for every row, its predictions, and its score on the dev rows."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel

from pipeline.data.tasks.table import TaskData
from pipeline.data.tokens.table import TokenTable
from pipeline.engine.rows import by_length, reader, write_rows
from pipeline.engine.scoring import scoring
from pipeline.evaluation.metrics import compute_metrics, main_metric
from pipeline.models.taps import encode
from pipeline.store.stage import StageRun

INFERENCE_TOKENS = 4_096


def predict_logits(
    model: PreTrainedModel, table: TokenTable, *, pad_id: int, rows: NDArray[np.int64] | None = None
) -> NDArray[np.float32]:
    """Compute logits in evaluation mode, without gradients, on the device that the model is on.

    Args:
        model: a model with a classification head; its training mode is restored afterwards.
        table: tokens of all rows.
        pad_id: id of the padding token.
        rows: (rows,), indices of the rows to compute; None computes all.

    Returns:
        (rows, classes), float32, in the order of ``rows``.
    """
    rows = np.arange(len(table)) if rows is None else rows
    device = next(model.parameters()).device
    read = reader(table, pad_id=pad_id)
    logits: NDArray[np.float32] | None = None
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for places in by_length(table.lengths[rows], INFERENCE_TOKENS):
            batch = {name: tensor.to(device) for name, tensor in read(rows[places], 0).items()}
            out = encode(model, batch).logits.float().cpu().numpy()
            if logits is None:
                logits = np.empty((len(rows), out.shape[1]), np.float32)
            logits[places] = out
    model.train(was_training)
    return np.empty((0, 0), np.float32) if logits is None else logits


def predicted_labels(task: TaskData, logits: NDArray[np.float32]) -> NDArray[Any]:
    """Return the prediction for each row, (rows,): the most likely class, or the number of a regression.

    Args:
        task: says whether labels are classes or numbers.
        logits: (rows, classes); (rows, 1) for a regression.
    """
    return logits[:, 0].astype(np.float64) if task.kind == "regression" else logits.argmax(axis=1)


def dev_score(task: TaskData, logits: NDArray[np.float32]) -> float:
    """Compute the task's main metric on its dev rows.

    Args:
        task: dev labels and the metric.
        logits: (dev rows, classes).
    """
    labels = task.splits["dev"]["label"].to_numpy()
    return compute_metrics(scoring(task), predicted_labels(task, logits), labels)[main_metric(task.metric)]


def dev_scorer(task: TaskData, tokenizer: Any, run: StageRun) -> Callable[[nn.Module], float]:
    """Build a function that computes the dev score of a learner or model; the dev rows are tokenised once.

    Args:
        task: dev rows and the metric.
        tokenizer: the tokenizer of the models to be scored.
        run: the stage that scores; the tokens are written to its scratch folder.
    """
    dev = write_rows(
        run.scratch / "dev",
        [task.splits["dev"]],
        tokenizer,
        max_length=task.max_length,
        progress=run.progress,
    )

    def score(learner: nn.Module) -> float:
        model = learner if isinstance(learner, PreTrainedModel) else learner.model
        return dev_score(task, predict_logits(cast("PreTrainedModel", model), dev, pad_id=tokenizer.pad_token_id))

    return score
