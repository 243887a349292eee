"""Training learners on rows: what every stage that trains a model does, whatever its terms.

A learner whose terms read a teacher's layers is shown them by a frozen teacher, or by what was stored of it; outputs
that an earlier stage stored are read along with the rows; labels are a column of the rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel

from pipeline.config.precision import Precision
from pipeline.config.training import TrainingConfig
from pipeline.data.tokens.batches import BatchPlan
from pipeline.data.tokens.table import TokenTable
from pipeline.engine.compilation import compilation
from pipeline.engine.guides.frozen import frozen_teacher, teacher_flops
from pipeline.engine.guides.outputs import LOGITS, stored_outputs
from pipeline.engine.learner import Learner
from pipeline.engine.objectives import TEACHER, guide_taps
from pipeline.engine.rows import plan, reader
from pipeline.engine.run_training import device, run_training
from pipeline.engine.teacher_cache.build import cached_teacher
from pipeline.engine.teacher_cache.cached_teacher import CachedTeacher
from pipeline.features import OUTPUT, Seen
from pipeline.store.stage import StageRun
from pipeline.training.loop import History, Training

Columns = Callable[[NDArray[np.int64]], dict[str, NDArray[Any]]]


@dataclass(frozen=True)
class Rows:
    """What is learned from.

    Attributes:
        table: tokens.
        pad_id: what rows are padded with.
        max_length: word pieces of the longest row there may be.
        role: of the artifact that holds the table.
        chosen: the rows of the table that are learned from; all of them when None.
        columns: indices into the table in, further arrays of a batch out: labels, a teacher's outputs.
    """

    table: TokenTable
    pad_id: int
    max_length: int
    role: str = ""
    chosen: NDArray[np.int64] | None = None
    columns: Columns | None = None

    def batches(self, training: TrainingConfig, seed: int) -> BatchPlan:
        """The batches of a training."""
        lengths = self.table.lengths if self.chosen is None else self.table.lengths[self.chosen]
        return plan(lengths, training, seed=seed, max_length=self.max_length)

    def read(self, batches: BatchPlan) -> Callable[[NDArray[np.int64], int], dict[str, torch.Tensor]]:
        """Row numbers of a batch in, its tensors out."""
        read = reader(self.table, pad_id=self.pad_id, pad_to=batches.pad_to, columns=self.columns)
        chosen = self.chosen
        return read if chosen is None else lambda places, step: read(chosen[places], step)


@dataclass(frozen=True)
class ShownTeacher:
    """A teacher whose layers learners read.

    Attributes:
        model: as it was loaded; it is changed in place.
        precision: what it is read in.
        dropout: whether its dropout is on.
    """

    model: PreTrainedModel
    precision: Precision
    dropout: bool = False


def distil(
    run: StageRun,
    learners: Mapping[str, Learner],
    rows: Rows,
    training: TrainingConfig,
    *,
    seed: int,
    precision: Precision,
    teacher: ShownTeacher | None = None,
    score: Callable[[nn.Module], float] | None = None,
    evaluations_per_epoch: float = 1.0,
    scores_start: bool = False,
    name: str = "training",
    keep_end: bool = False,
) -> dict[str, History]:
    """Train learners side by side, each batch seen by all of them and by their teacher once.

    Args:
        run: the stage that trains.
        learners: by name; each is left with its best weights where there is a ``score``.
        rows: what is learned from.
        training: epochs, learning rate, batches, schedule.
        seed: of row order and dropout.
        precision: what the learners' matrix products are computed in.
        teacher: whose layers the terms read; None where they read outputs and labels alone.
        score: a learner's dev score, higher is better.
        evaluations_per_epoch: how often it is asked for.
        scores_start: ask for it before the first step too, so that no learner ends with a worse one.
        name: of this training, where a stage does several.
        keep_end: that it has ended outlives a kill too, which pays where others follow.
    """
    batches = rows.batches(training, seed)
    taps = tuple(tap for tap in guide_taps(learners) if tap != OUTPUT)
    outputs = OUTPUT in guide_taps(learners)
    where, features, flops = device(run.runtime), None, None
    if teacher is not None and taps:
        show = frozen_teacher(
            teacher.model,
            taps,
            where,
            dropout=teacher.dropout,
            precision=teacher.precision,
            compiled=compilation(run.runtime, where).on,
        )
        features = cached_teacher(
            show,
            batches,
            training,
            run,
            rows=rows.role,
            counts_padding=any(learner.counts_padding for learner in learners.values()),
            chosen=rows.chosen,
        )
        stored = features
        flops = teacher_flops(teacher.model, lambda: stored.computed_share)
    histories = run_training(
        Training(
            learners,
            batches,
            rows.read(batches),
            _target(features, outputs=outputs),
            target_flops=flops,
            score=score,
            evaluations_per_epoch=evaluations_per_epoch,
            scores_start=scores_start,
        ),
        training,
        run,
        seed=seed,
        precision=precision,
        name=name,
        keep_end=keep_end,
    )
    if features is not None:
        run.record(teacher_store=features.record())
    return histories


def _target(features: CachedTeacher | None, *, outputs: bool) -> Callable[[Any, NDArray[np.int64]], Any] | None:
    """What the learners are given of their teacher for each batch; None where nothing of it is read."""
    if features is None and not outputs:
        return None

    def shown(batch: Mapping[str, torch.Tensor], rows: NDArray[np.int64]) -> dict[str, Seen]:
        layers = {} if features is None else features(batch, rows)
        return {TEACHER: {**layers, **stored_outputs(batch)} if outputs else layers}

    return shown


__all__ = ["LOGITS", "Rows", "ShownTeacher", "distil"]
