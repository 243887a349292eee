"""Heads in closed form: of students as they are by now, to their teacher's logits."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from pipeline.engine.distil import Rows
from pipeline.engine.rows import by_length, reader
from pipeline.engine.run_training import placed
from pipeline.models.initialise.head import fit_head
from pipeline.models.load import load_finetuned
from pipeline.models.source import ModelSource
from pipeline.store.stage import StageRun

ROWS = 4_096  # the fit has two small layers to determine
BATCH_TOKENS = 4_096


def fit_heads(run: StageRun, models: Mapping[str, PreTrainedModel], rows: Rows) -> None:
    """Fit the head of each student to the teacher's logits, in place.

    Args:
        run: input ``teacher``: it is loaded anew, for one whose layers were read ends above the last of them.
        models: of the students.
        rows: what the phase learned from; of many some, evenly spread.
    """
    teacher = placed(load_finetuned(ModelSource(str(run.artifact("teacher") / "model"))), run.runtime)
    chosen = np.arange(len(rows.table)) if rows.chosen is None else rows.chosen
    chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, min(ROWS, len(chosen))).round().astype(np.int64))]
    read = reader(rows.table, pad_id=rows.pad_id)
    batches: list[dict[str, torch.Tensor]] = [
        {name: tensor.to(teacher.device) for name, tensor in read(chosen[places], 0).items()}
        for places in by_length(rows.table.lengths[chosen], BATCH_TOKENS)
    ]
    for model in models.values():
        fit_head(nn.Module.to(model, teacher.device), teacher, batches)
