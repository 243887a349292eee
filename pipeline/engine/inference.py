"""What a model says of every row: its logits, and its score on a dev set."""

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
    """Logits of some rows (all by default), (rows, classes), in the order of the rows.

    The model runs in evaluation mode on whatever device it is on, without gradients.
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


def decide(task: TaskData, logits: NDArray[np.float32]) -> NDArray[Any]:
    """Predictions: the likeliest class, or the number itself."""
    return logits[:, 0].astype(np.float64) if task.kind == "regression" else logits.argmax(axis=1)


def dev_score(task: TaskData, logits: NDArray[np.float32]) -> float:
    """The task's main metric on its dev rows."""
    labels = task.splits["dev"]["label"].to_numpy()
    return compute_metrics(scoring(task), decide(task, logits), labels)[main_metric(task.metric)]


def dev_scorer(task: TaskData, tokenizer: Any, run: StageRun) -> Callable[[nn.Module], float]:
    """The dev score of a learner, or of a model, as a function; the dev rows are tokenised once.

    Args:
        task: whose main metric it is.
        tokenizer: of the models that are scored.
        run: the stage that scores; the tokens lie in its scratch folder.
    """
    dev = write_rows(
        run.scratch / "dev",
        [task.splits["dev"]],
        tokenizer,
        max_length=task.max_length,
        progress=run.progress,
    )

    def score(scored: nn.Module) -> float:
        model = scored if isinstance(scored, PreTrainedModel) else scored.model
        return dev_score(task, predict_logits(cast("PreTrainedModel", model), dev, pad_id=tokenizer.pad_token_id))

    return score
