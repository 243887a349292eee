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
from dataclasses import dataclass
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
from pipeline.training.schedule import learning_rate
from pipeline.training.state import Clock, History, State

__all__ = ["Batch", "History", "Plan", "Training", "train"]

Batch = dict[str, Tensor]
LOG_POINTS = 200


class Plan(Protocol):
    """Which rows make up each batch of each epoch; a pure function of the epoch."""

    def __len__(self) -> int:
        """Batches an epoch."""

    def epoch(self, epoch: int) -> list[NDArray[np.int64]]:
        """Row indices of each batch, in order."""


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


def train(  # noqa: C901, PLR0915 - the whole loop, to be read in one place
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
    state = State({name: accelerator.unwrap_model(learner) for name, learner in learners.items()}, optimizers)
    state.restore(checkpoints)
    if state.step:
        progress.note(f"resumed at step {state.step} of {total}")
    log_every = max(1, total // LOG_POINTS)
    score_every = max(1, round(per_epoch / training.evaluations_per_epoch))
    started = saved_at = time.perf_counter()
    order: tuple[int, list[NDArray[np.int64]]] = (-1, [])
    shown: dict[str, float] = {}

    while state.step < total:
        epoch, within = divmod(state.step, per_epoch)
        if order[0] != epoch:
            order = (epoch, plan.epoch(epoch))
        rate = learning_rate(state.step, total, config.learning_rate, config.warmup, config.schedule)
        micro = order[1][within * accumulate : (within + 1) * accumulate]
        for part, rows in enumerate(micro):
            draw = state.step * accumulate + part
            batch, target = _look(training, rows, draw, seed=seed, accelerator=accelerator, clock=state.clock)
            now = time.perf_counter()
            for name, learner in learners.items():
                learner.train()
                _seed(seed, name, draw)
                with accelerator.autocast():
                    terms = learner(batch, target)
                loss = torch.stack(list(terms.values())).sum()
                _check_finite("loss", loss, name, training, rows, state.step, checkpoints)
                accelerator.backward(loss / len(micro))
                state.add(name, {"loss": loss, **terms}, 1 / len(micro))
            state.clock.spend("student", now)
        now = time.perf_counter()
        for name, learner in learners.items():
            norm = accelerator.clip_grad_norm_(learner.parameters(), config.max_grad_norm)
            _check_finite("gradient norm", norm, name, training, np.concatenate(micro), state.step, checkpoints)
            for group in optimizers[name].param_groups:
                group["lr"] = rate
            optimizers[name].step()
            optimizers[name].zero_grad(set_to_none=True)
        state.clock.spend("student", now)
        state.step += 1

        if state.step % log_every == 0 or state.step == total:
            state.log((state.step - 1) % log_every + 1, rate)
            shown = {"loss": next(iter(state.histories.values())).curve[-1]["loss"]}
        progress.update(state.step, total, **shown, tokens_per_second=state.clock.tokens_per_second)
        if training.score is not None and (state.step % score_every == 0 or state.step == total):
            _score(training.score, state)
        if state.step < total and time.perf_counter() - saved_at > checkpoint_seconds:
            state.save(checkpoints)
            saved_at = time.perf_counter()

    state.load_best()
    for learner in state.learners.values():
        learner.eval()
    return state.histories, {
        "seconds": time.perf_counter() - started,
        "steps": total,
        **state.clock.figures(),
    }


def _look(
    training: Training,
    rows: NDArray[np.int64],
    draw: int,
    *,
    seed: int,
    accelerator: Accelerator,
    clock: Clock,
) -> tuple[Batch, Any]:
    """A batch on the device, and what all learners are given beside it."""
    now = time.perf_counter()
    batch = training.read(rows, draw)
    clock.real_tokens += int(batch["attention_mask"].sum())
    clock.computed_tokens += batch["attention_mask"].numel()
    batch = {key: value.to(accelerator.device, non_blocking=True) for key, value in batch.items()}
    now = clock.spend("data", now)
    if training.target is None:
        return batch, None
    _seed(seed, "teacher", draw)
    with torch.no_grad(), accelerator.autocast():
        target = training.target(batch)
    clock.spend("teacher", now)
    return batch, target


def _score(score: Callable[[nn.Module], float], state: State) -> None:
    for name, learner in state.learners.items():
        learner.eval()
        state.score(name, float(score(learner)))


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


def _check_finite(
    what: str,
    value: Tensor,
    name: str,
    training: Training,
    rows: NDArray[np.int64],
    step: int,
    checkpoints: Path,
) -> None:
    """A gradient is checked as well as the loss: one bad step would reach the weights, then a checkpoint."""
    number = value.item()
    if np.isfinite(number):
        return
    saved = sorted(path.name for path in checkpoints.glob("step-*"))
    good = f"the last good checkpoint is {saved[-1]}" if saved else "there is no checkpoint yet"
    raise TrainingError(
        f"{what} of {name!r} is {number} at step {step} on {_named(training, rows, step)}; {good}: "
        "lower the learning_rate of this stage's training, or look at those rows"
    )


def _named(training: Training, rows: NDArray[np.int64], step: int) -> str:
    """Some rows by the ``row_id`` their batch carries, which a user can look up, or else by their places."""
    ids = training.read(rows, step).get("row_id")
    numbers = list(dict.fromkeys(rows.tolist() if ids is None else ids.tolist()))
    shown = ", ".join(str(number) for number in numbers[:8])
    return f"{'rows' if ids is None else 'rows with row_id'} {shown}{'...' if len(numbers) > 8 else ''}"
