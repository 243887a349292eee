"""The training loop: the same for fine-tuning, pretraining and every kind of distillation.

A ``learner`` is a module whose forward maps (batch, target, moment) to named loss terms; the loop sums
them, steps and logs each. Several learners share every batch and one ``target`` (what the teacher says of
it), so each further student costs its own forward and backward only.

Randomness is a pure function of (seed, learner, step), the order of the rows of (seed, epoch), the
learning rate of the step: a run that was killed goes on from its last checkpoint to the same weights,
bit for bit on a CPU, and a student's result does not depend on who else is being trained. Several
processes share each batch out; their gradient is that of the whole batch.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.config.training import TrainingConfig
from pipeline.features import Moment
from pipeline.progress import Progress
from pipeline.training.clock import Clock, Watch
from pipeline.training.feed import Batch, Feed, Micro, Plan, Read, Step
from pipeline.training.finite import Told, check_finite
from pipeline.training.optimizer import adamw
from pipeline.training.rescue import rescued
from pipeline.training.schedule import learning_rate
from pipeline.training.state import History, State

__all__ = ["Batch", "History", "Plan", "Training", "train"]

LOG_POINTS = 200
SLOW_DISK = 100e6  # bytes/s; the price of the first checkpoint is not known before it is paid


@dataclass(frozen=True)
class Training:
    """What is trained on what.

    Attributes:
        learners: modules mapping (batch, target, moment) to named loss terms, by name; one that has ``flops``
            says what its passes cost, given the counts of what they read, one that has ``windows`` within which
            distances pairs are counted, and one whose ``counts_padding`` is true has every batch of a step padded
            to the longest row of the step.
        plan: which rows make up each batch.
        read: row indices and the number of the batch in, a batch on the CPU out.
        target: (batch on the device, its row indices) -> what all learners are given beside the batch;
            computed without gradients.
        ahead: ask for the target of the next step while the learners train on this one, on a CPU; it must draw nothing
            at random.
        target_flops: (counts) -> floating-point operations that ``target`` has spent on so much.
        score: a learner's dev score, higher is better; the best weights are kept. None keeps the last.
        evaluations_per_epoch: how often ``score`` is asked for.
        scores_start: ask for it before the first step too: no learner ends with a worse score than it began with.
    """

    learners: Mapping[str, nn.Module]
    plan: Plan
    read: Read
    target: Callable[[Batch, NDArray[np.int64]], Any] | None = None
    ahead: bool = False
    target_flops: Callable[[Mapping[str, float]], float] | None = None
    score: Callable[[nn.Module], float] | None = None
    evaluations_per_epoch: float = 1.0
    scores_start: bool = False


def train(  # noqa: C901, PLR0915 - the whole loop, to be read in one place
    training: Training,
    config: TrainingConfig,
    *,
    seed: int,
    accelerator: Accelerator,
    checkpoints: Path,
    checkpoint_seconds: float,
    checkpoint_share: float,
    progress: Progress,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    keep_end: bool = False,
) -> tuple[dict[str, History], dict[str, float]]:
    """Train every learner in place; with a ``score`` each ends with its best weights.

    Args:
        training: what is trained on what.
        config: how.
        seed: of row order and dropout.
        accelerator: device placement, and the processes that share the batches.
        checkpoints: folder that survives a crash; a run found there is continued.
        checkpoint_seconds: training time between two checkpoints, or more where writing one takes long:
        checkpoint_share: at most this share of the time goes into them.
        progress: is told the step, the loss and the speed.
        autocast: makes the context that the learners' forward passes run in.
        keep_end: leave a checkpoint at the end as well, for a stage that has more to train after this.

    Returns:
        A history for each learner; speed: seconds by use, real tokens a second, padding efficiency.

    Raises:
        TrainingError: a loss is not finite, or memory ran out; names the step and the last good checkpoint.
    """
    per_epoch = -(-len(training.plan) // config.gradient_accumulation)
    total = min(config.max_steps or per_epoch * config.epochs, per_epoch * config.epochs)
    learners = {name: accelerator.prepare_model(learner) for name, learner in training.learners.items()}
    optimizers = {name: adamw(learner, config) for name, learner in learners.items()}
    plain = {name: accelerator.unwrap_model(learner) for name, learner in learners.items()}
    state = State(plain, optimizers)
    state.restore(checkpoints)
    clock = state.clock
    clock.synchronize = torch.cuda.synchronize if accelerator.device.type == "cuda" else None
    if state.step:
        progress.note(f"resumed at step {state.step} of {total}")
    log_every = max(1, total // LOG_POINTS)
    score_every = max(1, round(per_epoch / training.evaluations_per_epoch))
    started = saved_at = time.perf_counter()
    shown = state.latest()
    pause = _pause(state.size / SLOW_DISK, checkpoint_seconds, checkpoint_share)
    feed = Feed(
        training.plan,
        training.read,
        accumulate=config.gradient_accumulation,
        total=total,
        rank=accelerator.process_index,
        world=accelerator.num_processes,
        pin=accelerator.device.type == "cuda",
        ask=training.target if training.ahead else None,
        windows=sorted({window for learner in plain.values() for window in getattr(learner, "windows", ())}),
        alike=any(getattr(learner, "counts_padding", False) for learner in plain.values()),
    )

    with feed, rescued(state, checkpoints, saves=accelerator.is_main_process):
        if training.score is not None and training.scores_start and not state.step:
            now = clock.now()
            _score(training.score, state, accelerator)
            clock.spend("score", now)
        while state.step < total:
            state.begin()
            began = time.perf_counter()
            clock.sample(state.step)
            step = feed.take(state.step)
            clock.spend("teacher" if training.ahead else "data", began)
            terms = _backward(
                training,
                learners,
                step,
                state.step / total,
                seed=seed,
                accelerator=accelerator,
                clock=clock,
                autocast=autocast,
            )
            now = clock.now()
            rate = learning_rate(state.step, total, config.learning_rate, config.warmup, config.schedule)
            norms = [accelerator.clip_grad_norm_(each.parameters(), config.max_grad_norm) for each in learners.values()]
            told = _told(terms, norms, accelerator)
            check_finite(told, step, state.step, checkpoints)
            state.updating = True
            for optimizer in optimizers.values():
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            clock.spend("optimizer", now)
            for name, values in told.items():
                state.add(name, values.terms)
            state.step += 1
            clock.read(step.counts)
            clock.step_seconds += time.perf_counter() - began

            if state.step % log_every == 0 or state.step == total:
                state.log((state.step - 1) % log_every + 1, rate)
                shown = state.latest()
            progress.update(state.step, total, **shown, tokens_per_second=clock.tokens_per_second)
            if training.score is not None and (state.step % score_every == 0 or state.step == total):
                now = clock.now()
                _score(training.score, state, accelerator)
                clock.spend("score", now)
            due = time.perf_counter() - saved_at > pause if state.step < total else keep_end
            if due and accelerator.is_main_process:
                now = clock.now()
                state.save(checkpoints)
                saved_at = clock.spend("checkpoint", now)
                pause = _pause(saved_at - now, checkpoint_seconds, checkpoint_share)

    state.load_best()
    for learner in state.learners.values():
        learner.eval()
    counted: list[Any] = [learner for learner in plain.values() if hasattr(learner, "flops")]
    flops = float(sum(learner.flops(clock.counts) for learner in counted))
    flops += training.target_flops(clock.counts) if training.target_flops else 0.0
    return state.histories, {
        "seconds": time.perf_counter() - started,
        "steps": total,
        "achieved_flops": flops / max(1e-9, clock.step_seconds),
        **clock.figures(),
    }


def _pause(taken: float, least: float, share: float) -> float:
    """Seconds of training before a checkpoint that takes so long, for it to be no more than its share of the time."""
    return max(least, taken * (1 / share - 1))


def _backward(
    training: Training,
    learners: Mapping[str, nn.Module],
    step: Step,
    progress: float,
    *,
    seed: int,
    accelerator: Accelerator,
    clock: Clock,
    autocast: Callable[[], AbstractContextManager[Any]],
) -> dict[str, list[dict[str, Tensor]]]:
    """Gradients of one step, ``progress`` into the training; each learner's terms, one entry a pass."""
    found: dict[str, list[dict[str, Tensor]]] = {name: [] for name in learners}
    for micro in step.micro:
        batch, target = _look(training, micro, seed=seed, accelerator=accelerator, clock=clock)
        last, moment = micro is step.micro[-1], Moment(micro.counts, progress)
        for name, learner in learners.items():
            learner.train()
            watch = Watch(clock, accelerator.unwrap_model(learner))
            _seed(seed, name, micro.draw, accelerator)
            with nullcontext() if last else accelerator.no_sync(learner):
                with autocast():
                    terms = learner(batch, target, moment)
                loss = torch.stack(list(terms.values())).sum()
                # Processes average their gradients; theirs are parts of a sum.
                accelerator.backward(loss * accelerator.num_processes if accelerator.num_processes > 1 else loss)
            watch.stop()
            found[name].append({"loss": loss.detach(), **{term: value.detach() for term, value in terms.items()}})
    return found


def _look(training: Training, micro: Micro, *, seed: int, accelerator: Accelerator, clock: Clock) -> tuple[Batch, Any]:
    """A batch on the device, and what all learners are given beside it."""
    now = clock.now()
    batch = {key: value.to(accelerator.device, non_blocking=True) for key, value in micro.batch.items()}
    now = clock.spend("data", now)
    if training.target is None or training.ahead:
        return batch, micro.target
    _seed(seed, "teacher", micro.draw, accelerator)
    with torch.no_grad():
        target = training.target(batch, micro.rows)
    clock.spend("teacher", now)
    return batch, target


def _told(terms: Mapping[str, list[dict[str, Tensor]]], norms: list[Any], accelerator: Accelerator) -> dict[str, Told]:
    """What each learner's step came to, on every process the same; the device is waited for once."""
    flat = torch.stack([value.float() for passes in terms.values() for each in passes for value in each.values()])
    if accelerator.num_processes > 1:
        flat = accelerator.reduce(flat, "sum")
    numbers = iter(torch.cat((flat, torch.stack([norm.float() for norm in norms]))).tolist())
    passes = {name: [{term: next(numbers) for term in each} for each in found] for name, found in terms.items()}
    return {name: Told(found, next(numbers)) for name, found in passes.items()}


def _score(score: Callable[[nn.Module], float], state: State, accelerator: Accelerator) -> None:
    """Score every learner, on one process for all of them."""
    for name, learner in state.learners.items():
        learner.eval()
        value = score(learner) if accelerator.is_main_process else 0.0
        if accelerator.num_processes > 1:
            value = broadcast(torch.tensor(value, dtype=torch.float64, device=accelerator.device)).item()
        state.score(name, float(value))


def _seed(seed: int, name: str, draw: int, accelerator: Accelerator) -> None:
    """Dropout differs between processes, whose rows are different; the first has that of a run on one."""
    rank = f"/{accelerator.process_index}" if accelerator.process_index else ""
    torch.manual_seed(crc32(f"{seed}/{name}/{draw}{rank}".encode()))
