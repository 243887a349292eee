"""Estimate the cost of the training stages: each is rehearsed for two passes over a few batches."""

from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config.models import StudentConfig
from pipeline.config.terms import AttentionTerm
from pipeline.config.training import TrainingConfig
from pipeline.cost.arithmetic import (
    Load,
    Pass,
    StageCost,
    checkpoint_seconds,
    evaluations,
    training_seconds,
    warm_pass,
)
from pipeline.cost.sizes import Small, batches, small_training, total_steps
from pipeline.distillation.layer_map import layer_map
from pipeline.engine.student_identity import folder
from pipeline.engine.teacher_cache.decision import GB, caching_pays
from pipeline.models.load import load_config
from pipeline.models.source import ModelSource

if TYPE_CHECKING:
    from pipeline.cost.context import RehearsalContext
    from pipeline.cost.rehearsal import Rehearsed

BUDGET_SECONDS = 5.0  # of each rehearsed training, about
WEIGHTS_IN_CHECKPOINT = 3  # the weights and AdamW's two moments
CHECKPOINTS_KEPT = 2
FLOAT_BYTES = 4
PLACES = {
    "pretrain": ("pretrain", "training"),
    "general_distillation": ("distillation", "training"),
    "teacher": ("finetune",),
    "label_only": ("training",),
}
PHASE = ("phase", "training")
# Passes of the teacher's forward cost, roughly: what a step of the stage costs in them.
FORWARDS = {"pretrain": 3.0, "teacher": 3.0}
OTHER_FORWARDS = 2.0


def training_of(name: str, config: Any) -> TrainingConfig:
    """Return the training configuration within a stage's configuration.

    Args:
        name: name of the stage.
        config: its configuration.
    """
    training: TrainingConfig = reduce(getattr, PLACES.get(name, PHASE), config)
    return training


def with_training(name: str, config: Any, training: TrainingConfig) -> Any:
    """Return a stage's configuration with another training, scored once an epoch.

    Args:
        name: name of the stage.
        config: its configuration.
        training: the training to put in.
    """
    *outer, last = PLACES.get(name, PHASE)
    if not outer:
        return config.model_copy(update={last: training})
    inner = getattr(config, outer[0])
    changes: dict[str, Any] = {last: training}
    if hasattr(inner, "evaluations_per_epoch"):
        changes["evaluations_per_epoch"] = 1.0
    return config.model_copy(update={outer[0]: inner.model_copy(update=changes)})


def small(name: str, context: "RehearsalContext", lengths: NDArray[np.int32], max_length: int) -> Small:
    """Shrink a stage's training so that rehearsing it takes about ``BUDGET_SECONDS`` on this machine.

    Args:
        name: name of the stage.
        context: stages of the run and the teacher's speed.
        lengths: (rows,), tokens of some of its rows.
        max_length: longest row, in tokens.
    """
    cost = FORWARDS.get(name, OTHER_FORWARDS) * context.forward_seconds
    return small_training(
        training_of(name, context.stages[name].config),
        tokens_a_row=float(lengths.mean()),
        max_length=max_length,
        seconds_a_token=cost,
        budget=BUDGET_SECONDS,
    )


def train_cost(
    name: str,
    context: "RehearsalContext",
    shrunk: Small,
    *,
    here: NDArray[np.int32],
    there: NDArray[np.int32],
    rows: float,
    max_length: int,
    scored: bool = True,
    more_seconds: float = 0.0,
    **instead: Path,
) -> StageCost:
    """Rehearse a training stage and estimate the cost of the real one.

    Args:
        name: name of the stage.
        context: shared context of the rehearsal; the stage's rehearsed artifact is added to it.
        shrunk: the training to rehearse.
        here: (rows,), lengths in tokens of the rows it is rehearsed on.
        there: (rows,), lengths of the real rows, or of a sample of them.
        rows: number of real rows.
        max_length: length that rows are padded to, if the configuration pads to a fixed length.
        scored: whether it is scored on the dev rows while it trains.
        more_seconds: seconds of other work that grows with the rows, such as tokenising.
        instead: role -> folder of a shrunk input.
    """
    stage = context.stages[name]
    real = training_of(name, stage.config)
    done = context.rehearse(name, with_training(name, stage.config, shrunk.config), **instead)
    context.artifacts[name] = done.folder
    (speed,) = [value for key, value in done.metrics.items() if key.endswith("_speed")]
    of_pass = batches(here, len(here), shrunk.config, max_length=max_length)
    rehearsed = warm_pass(done.marks, of_pass.steps, of_pass.tokens, speed, done.seconds, int(scored))
    of_real_pass = batches(there, rows, real, max_length=max_length)
    steps = total_steps(real, of_real_pass.steps)
    per_epoch = getattr(getattr(stage.config, "phase", None), "evaluations_per_epoch", 1.0)
    weights = _weight_bytes(done.folder)
    load = Load(
        tokens=of_real_pass.tokens,
        steps=of_real_pass.steps,
        total_steps=steps,
        evaluations=evaluations(of_real_pass.steps, steps, per_epoch) if scored else 0,
        dev_share=context.dev_share if scored else 1.0,
        checkpoint_bytes=weights * (WEIGHTS_IN_CHECKPOINT + int(scored)),
        checkpoint_every=context.config.runtime.checkpoint_seconds,
        checkpoint_share=context.config.runtime.checkpoint_share,
        repeats=getattr(stage.config, "restarts", 1),
    )
    load, why = _stored(name, context, rehearsed, load, there, rows)
    seconds = training_seconds(rehearsed, load, context.machine) + more_seconds
    if name == "teacher":  # the saved teacher is scored once more
        seconds += max(0.0, load.dev_share - 1) * rehearsed.score_seconds
    kept = CHECKPOINTS_KEPT if checkpoint_seconds(seconds, load, context.machine) else 0
    return StageCost(
        name,
        context.action(name),
        seconds=seconds,
        disk_bytes=done.output_bytes,
        scratch_bytes=kept * load.checkpoint_bytes + load.stored_bytes,
        peak_bytes=_peak(done, shrunk, weights),
        basis=f"{steps:,} steps of {of_real_pass.tokens / max(1, of_real_pass.steps):,.0f} tokens, "
        f"{2 * of_pass.steps} timed{why}",
    )


def _weight_bytes(artifact: Path) -> int:
    """Return the size in bytes of all weight files of an artifact."""
    return sum(path.stat().st_size for path in artifact.rglob("*.safetensors"))


def _peak(done: "Rehearsed", shrunk: Small, weights: int) -> float:
    """Estimate the peak memory in bytes with real batches: activations grow with the batch, weights do not."""
    fixed = done.before_bytes + (WEIGHTS_IN_CHECKPOINT + 1) * weights
    return done.peak_bytes + (shrunk.larger_batches - 1) * max(0, done.peak_bytes - fixed)


def _stored(
    name: str, context: "RehearsalContext", rehearsed: Pass, load: Load, there: NDArray[np.int32], rows: float
) -> tuple[Load, str]:
    """Return the load with cached teacher features if the run would cache them, and a remark for ``basis``."""
    stage = context.stages[name]
    method = getattr(stage.config, PLACES.get(name, PHASE)[0])
    terms = getattr(method, "terms", None)
    if terms is None or not terms.reads("layers") or load.passes <= 1:
        return load, ""
    dropout = getattr(method, "teacher_dropout", False)
    if terms.counts_padding or dropout or training_of(name, stage.config).drop_last:
        return load, ""
    tokens = float(there.mean()) * rows
    width = _features(context, stage.config.students, context.artifacts[name], attention=terms.of(AttentionTerm))
    decision = caching_pays(
        tokens=round(tokens),
        bytes_per_token=width * FLOAT_BYTES,
        passes=load.passes,
        budget=context.config.runtime.teacher_store_gb * GB,
        free=context.free_bytes,
        teacher_seconds=rehearsed.teacher_seconds / max(1.0, rehearsed.tokens),
        write_seconds=context.machine.write_seconds,
        read_seconds=context.machine.read_seconds,
    )
    if not decision.store:
        return load, ""
    return replace(load, stored_bytes=tokens * width * FLOAT_BYTES), ", teacher stored"


def _features(
    context: "RehearsalContext", students: tuple[StudentConfig, ...], artifact: Path, *, attention: bool
) -> int:
    """Return how many numbers are cached for one token: embedding, mapped hidden states, queries and keys."""
    layers: set[int] = set()
    teacher = context.teacher_config
    for student in students:
        own = load_config(ModelSource(str(folder(artifact, student))))
        layers |= set(layer_map(student.layer_map, own.num_hidden_layers, teacher.num_hidden_layers))
    width: int = teacher.hidden_size
    return width * (1 + len(layers) * (3 if attention else 1))
