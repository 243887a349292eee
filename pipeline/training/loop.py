"""The training loop: the same for fine-tuning, pretraining and every kind of distillation.

A ``learner`` is a module whose forward maps (batch, target) to named loss terms; the loop sums them,
steps and logs each. Several learners share every batch and one ``target`` (what the teacher says of
it), so each further student costs its own forward and backward only.

Randomness is a pure function of (seed, learner, step), the order of the rows of (seed, epoch), the
learning rate of the step: a run that was killed goes on from its last checkpoint to the same weights,
bit for bit on a CPU, and a student's result does not depend on who else is being trained.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.config.training import TrainingConfig
from pipeline.errors import TrainingError
from pipeline.progress import Progress
from pipeline.training.checkpoint import (
    latest_checkpoint,
    load_module,
    load_optimizer,
    module_tensors,
    optimizer_tensors,
    save_checkpoint,
)
from pipeline.training.schedule import learning_rate

Batch = dict[str, Tensor]
LOG_POINTS = 200


class Plan(Protocol):
    """Which rows make up each batch of each epoch; a pure function of the epoch."""

    def __len__(self) -> int:
        """Batches an epoch."""

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """Row indices of each batch, in order."""


@dataclass
class History:
    """What happened to one learner: its loss curve and its dev scores.

    Attributes:
        curve: one entry a logging interval: step, learning_rate, loss and each term, averaged over it.
        scores: (step, dev score) at each evaluation.
        best: the best dev score so far, None before the first evaluation.
    """

    curve: list[dict[str, float]] = field(default_factory=list)
    scores: list[tuple[int, float]] = field(default_factory=list)
    best: float | None = None


@dataclass(frozen=True)
class Training:
    """What is trained on what.

    Attributes:
        learners: modules mapping (batch, target) to named loss terms, by name.
        plan: which rows make up each batch.
        read: row indices and the global step in, a batch on the CPU out.
        target: what all learners are given beside the batch, computed without gradients.
        score: a learner's dev score, higher is better; the best weights are kept. None keeps the last.
        evaluations_per_epoch: how often ``score`` is asked for.
    """

    learners: Mapping[str, nn.Module]
    plan: Plan
    read: Callable[[NDArray[np.int64], int], Batch]
    target: Callable[[Batch], Any] | None = None
    score: Callable[[nn.Module], float] | None = None
    evaluations_per_epoch: float = 1.0


@dataclass
class _Clock:
    """Seconds by what they were spent on; tokens as they were and as they were computed."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("data", "teacher", "student"), 0.0))
    real_tokens: int = 0
    computed_tokens: int = 0

    def spend(self, what: str, since: float) -> float:
        now = time.perf_counter()
        self.seconds[what] += now - since
        return now


def train(
    training: Training,
    config: TrainingConfig,
    *,
    seed: int,
    accelerator: Accelerator,
    checkpoints: Path,
    checkpoint_seconds: float,
    progress: Progress,
) -> tuple[dict[str, History], dict[str, float]]:
    """Train every learner in place; with a ``score`` each ends with its best weights.

    Args:
        training: what is trained on what.
        config: how.
        seed: of row order and dropout.
        accelerator: device placement and precision.
        checkpoints: folder that survives a crash; a run found there is continued.
        checkpoint_seconds: training time between two checkpoints.
        progress: is told the step, the loss and the speed.

    Returns:
        A history for each learner; speed: seconds by use, real tokens a second, padding efficiency.

    Raises:
        TrainingError: a loss is not finite; names the step, the rows and the last good checkpoint.
    """
    plan, accumulate = training.plan, config.gradient_accumulation
    per_epoch = -(-len(plan) // accumulate)
    total = min(config.max_steps or per_epoch * config.epochs, per_epoch * config.epochs)
    learners = {name: accelerator.prepare_model(learner) for name, learner in training.learners.items()}
    optimizers = {name: _adamw(learner, config) for name, learner in learners.items()}
    histories = {name: History() for name in learners}
    best: dict[str, Tensor] = {}
    clock = _Clock()
    step = _restore(checkpoints, learners, optimizers, histories, best, clock)
    if step:
        progress.note(f"resumed at step {step} of {total}")
    log_every = max(1, total // LOG_POINTS)
    score_every = max(1, round(per_epoch / training.evaluations_per_epoch))
    sums: dict[str, dict[str, float]] = {name: {} for name in learners}
    started, saved_at = time.perf_counter(), time.perf_counter()
    order: tuple[int, list[NDArray[np.int64]]] = (-1, [])

    while step < total:
        epoch, within = divmod(step, per_epoch)
        if order[0] != epoch:
            order = (epoch, plan.epoch(epoch))
        rate = learning_rate(step, total, config.learning_rate, config.warmup, config.schedule)
        micro = order[1][within * accumulate : (within + 1) * accumulate]
        for part, rows in enumerate(micro):
            now = time.perf_counter()
            batch = training.read(rows, step * accumulate + part)
            clock.real_tokens += int(batch["attention_mask"].sum())
            clock.computed_tokens += batch["attention_mask"].numel()
            batch = {key: value.to(accelerator.device, non_blocking=True) for key, value in batch.items()}
            now = clock.spend("data", now)
            target = None
            if training.target is not None:
                _seed(seed, "teacher", step * accumulate + part)
                with torch.no_grad(), accelerator.autocast():
                    target = training.target(batch)
                now = clock.spend("teacher", now)
            for name, learner in learners.items():
                learner.train()
                _seed(seed, name, step * accumulate + part)
                with accelerator.autocast():
                    terms = learner(batch, target)
                loss = torch.stack(list(terms.values())).sum() / len(micro)
                value = loss.item()
                if not np.isfinite(value):
                    raise TrainingError(_not_finite(name, step, value, rows, checkpoints))
                accelerator.backward(loss)
                for term, part_loss in {"loss": loss.detach() * len(micro), **terms}.items():
                    sums[name][term] = sums[name].get(term, 0.0) + part_loss.item() / len(micro)
            clock.spend("student", now)
        now = time.perf_counter()
        for name, learner in learners.items():
            for group in optimizers[name].param_groups:
                group["lr"] = rate
            accelerator.clip_grad_norm_(learner.parameters(), config.max_grad_norm)
            optimizers[name].step()
            optimizers[name].zero_grad(set_to_none=True)
        clock.spend("student", now)
        step += 1

        if step % log_every == 0 or step == total:
            steps = (step - 1) % log_every + 1
            for name, history in histories.items():
                means = {term: value / steps for term, value in sums[name].items()}
                history.curve.append({"step": step, "learning_rate": rate, **means})
                sums[name] = {}
        first = next(iter(histories.values()))
        shown = {"loss": first.curve[-1]["loss"]} if first.curve else {}
        progress.update(step, total, **shown, tokens_per_second=_speed(clock))
        if training.score is not None and (step % score_every == 0 or step == total):
            for name, learner in learners.items():
                _score(training.score, name, learner, histories[name], step, best)
        if step < total and time.perf_counter() - saved_at > checkpoint_seconds and step % log_every == 0:
            _save(checkpoints, step, learners, optimizers, histories, best, clock)
            saved_at = time.perf_counter()

    for name, learner in learners.items():
        load_module(f"best.{name}.", accelerator.unwrap_model(learner), best)
        learner.eval()
    speed = {f"{what}_seconds": seconds for what, seconds in clock.seconds.items()}
    return histories, {
        **speed,
        "seconds": time.perf_counter() - started,
        "steps": total,
        "real_tokens": clock.real_tokens,
        "tokens_per_second": _speed(clock),
        "padding_efficiency": clock.real_tokens / max(1, clock.computed_tokens),
    }


def _adamw(learner: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW, sparing biases and layer norms the weight decay, in the fused form."""
    trained = [parameter for parameter in learner.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def _seed(seed: int, name: str, step: int) -> None:
    torch.manual_seed(crc32(f"{seed}/{name}/{step}".encode()))


def _score(
    score: Callable[[nn.Module], float],
    name: str,
    learner: nn.Module,
    history: History,
    step: int,
    best: dict[str, Tensor],
) -> None:
    learner.eval()
    value = float(score(learner))
    history.scores.append((step, value))
    if history.best is None or value > history.best:
        history.best = value
        best.update(module_tensors(f"best.{name}.", learner))


def _save(
    folder: Path,
    step: int,
    learners: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    histories: Mapping[str, History],
    best: Mapping[str, Tensor],
    clock: _Clock,
) -> None:
    tensors = dict(best)
    for name, learner in learners.items():
        tensors |= module_tensors(f"model.{name}.", learner)
        tensors |= optimizer_tensors(f"optimizer.{name}.", optimizers[name])
    state = {
        "histories": {name: vars(history) for name, history in histories.items()},
        "clock": vars(clock),
    }
    save_checkpoint(folder, step, tensors, state)


def _restore(
    folder: Path,
    learners: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    histories: dict[str, History],
    best: dict[str, Tensor],
    clock: _Clock,
) -> int:
    found = latest_checkpoint(folder)
    if found is None:
        return 0
    tensors, state = found
    for name, learner in learners.items():
        load_module(f"model.{name}.", learner, tensors)
        load_optimizer(f"optimizer.{name}.", optimizers[name], tensors)
        saved = state["histories"][name]
        histories[name] = History(saved["curve"], [tuple(score) for score in saved["scores"]], saved["best"])
    best.update({name: tensor for name, tensor in tensors.items() if name.startswith("best.")})
    vars(clock).update(state["clock"])
    return int(state["step"])


def _speed(clock: _Clock) -> float:
    return clock.real_tokens / max(1e-9, sum(clock.seconds.values()))


def _not_finite(name: str, step: int, value: float, rows: NDArray[np.int64], checkpoints: Path) -> str:
    saved = sorted(path.name for path in checkpoints.glob("step-*"))
    good = f"the last good checkpoint is {saved[-1]}" if saved else "there is no checkpoint yet"
    shown = ", ".join(str(int(row)) for row in rows[:8])
    return (
        f"loss of {name!r} is {value} at step {step} on rows {shown}{'...' if len(rows) > 8 else ''}; {good}: "
        "lower training.learning_rate, or look at those rows"
    )
