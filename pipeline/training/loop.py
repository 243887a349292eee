"""The training loop: the same for fine-tuning, pretraining and every kind of distillation.

A ``learner`` is a module whose forward maps (batch, target, moment) to named loss terms; the loop sums
them, steps and logs each. Several learners share every batch and one ``target`` (the teacher's features of
that batch), so each further student costs its own forward and backward pass only.

Randomness is a pure function of (seed, learner, pass), the order of the rows of (seed, epoch), the learning
rate of the step. So a run that was killed continues from its last checkpoint to the same weights, bit for
bit on a CPU, and a student's result does not depend on which other students are trained beside it. Several
processes split each batch between them; their averaged gradient equals that of the whole batch.
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
from pipeline.training.feed import Batch, Feed, MicroBatch, Plan, Read, Step
from pipeline.training.finite import StepResult, check_finite
from pipeline.training.optimizer import adamw
from pipeline.training.save_on_interrupt import save_on_interrupt
from pipeline.training.schedule import learning_rate
from pipeline.training.state import History, State

__all__ = ["Batch", "History", "Plan", "Training", "train"]

LOG_POINTS = 200
SLOW_DISK = 100e6  # bytes/s; assumed until the first checkpoint has been written and timed


@dataclass(frozen=True)
class Training:
    """The models to train, the batches to train them on, and how to score them.

    Attributes:
        learners: learner name -> module that maps (batch, target, moment) to named scalar loss terms. A module may
            also define ``flops(counts)``, the floating-point operations of training on those counts; ``windows``,
            distances of local attention for which pairs of tokens are counted; and ``counts_padding``: if true,
            every batch of a step is padded to the longest row of that step.
        plan: which rows make up each batch of each epoch.
        read: (row indices, pass number) -> batch on the CPU.
        target: (batch on the device, row indices) -> the teacher's features, given to every learner beside the
            batch; called without gradients. None trains on the batch alone.
        target_flops: (counts of all steps) -> floating-point operations spent in ``target``.
        score: learner -> dev score, higher is better; the best weights are kept. None keeps the last weights.
        evaluations_per_epoch: how many times an epoch ``score`` is called.
        scores_start: call ``score`` before the first step too, so that no learner ends with a worse score than it
            began with.
    """

    learners: Mapping[str, nn.Module]
    plan: Plan
    read: Read
    target: Callable[[Batch, NDArray[np.int64]], Any] | None = None
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
    """Train every learner in place; with a ``score``, each learner ends with its best weights.

    Args:
        training: learners, batches, target and score.
        config: epochs, learning rate and schedule, gradient accumulation and clipping.
        seed: seed of dropout. The row order has its seed in ``training.plan``.
        accelerator: device placement, and the processes that split the batches.
        checkpoints: folder of the checkpoints; training continues from the newest one found there.
        checkpoint_seconds: seconds of training between two checkpoints, at least.
        checkpoint_share: largest share of the time spent writing checkpoints (0 to 1); where writing is slow, the
            checkpoints are further apart than ``checkpoint_seconds``.
        progress: receives the step, the losses and the speed.
        autocast: makes the context in which the learners' forward passes run.
        keep_end: write a checkpoint after the last step too, for a stage that trains more models after this.

    Returns:
        The history of each learner, by name; and the measurements of the run: seconds by use, steps, real tokens a
        second, achieved FLOP/s, padding efficiency.

    Raises:
        TrainingError: a loss or gradient is not finite, or memory ran out; names the step and the last good checkpoint.
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
        windows=sorted({window for learner in plain.values() for window in getattr(learner, "windows", ())}),
        alike=any(getattr(learner, "counts_padding", False) for learner in plain.values()),
    )

    with feed, save_on_interrupt(state, checkpoints, saves=accelerator.is_main_process):
        if training.score is not None and training.scores_start and not state.step:
            now = clock.now()
            _score(training.score, state, accelerator)
            clock.spend("score", now)
        while state.step < total:
            state.begin()
            began = time.perf_counter()
            clock.sample(state.step)
            step = feed.take(state.step)
            clock.spend("data", began)
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
            results = _gather_terms(terms, norms, accelerator)
            check_finite(results, step, state.step, checkpoints)
            state.updating = True
            for optimizer in optimizers.values():
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            clock.spend("optimizer", now)
            for name, values in results.items():
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
    """Seconds of training before the next checkpoint, so that writing it takes at most ``share`` of the time.

    Args:
        taken: seconds that writing one checkpoint takes.
        least: smallest pause, in seconds.
        share: largest share of the time for checkpoints, above 0, at most 1.
    """
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
    """Add up the gradients of one step in the learners' parameters.

    Args:
        training: gives the target.
        learners: by name, prepared by the accelerator.
        step: its micro-batches.
        progress: share of the training that is done, 0 to 1.
        seed: seed of dropout.
        accelerator: device placement and processes.
        clock: receives the seconds by use.
        autocast: makes the context in which the learners' forward passes run.

    Returns:
        Learner name -> one entry a micro-batch: the loss and its terms, detached scalars.
    """
    terms_of: dict[str, list[dict[str, Tensor]]] = {name: [] for name in learners}
    for micro in step.micro_batches:
        batch, target = _fetch(training, micro, seed=seed, accelerator=accelerator, clock=clock)
        last, moment = micro is step.micro_batches[-1], Moment(micro.counts, progress)
        for name, learner in learners.items():
            learner.train()
            watch = Watch(clock, accelerator.unwrap_model(learner))
            _seed(seed, name, micro.pass_number, accelerator)
            with nullcontext() if last else accelerator.no_sync(learner):
                with autocast():
                    terms = learner(batch, target, moment)
                loss = torch.stack(list(terms.values())).sum()
                # Processes average their gradients; theirs are parts of a sum.
                accelerator.backward(loss * accelerator.num_processes if accelerator.num_processes > 1 else loss)
            watch.stop()
            terms_of[name].append({"loss": loss.detach(), **{term: value.detach() for term, value in terms.items()}})
    return terms_of


def _fetch(
    training: Training, micro: MicroBatch, *, seed: int, accelerator: Accelerator, clock: Clock
) -> tuple[Batch, Any]:
    """Move a micro-batch to the device and compute the teacher's features for it."""
    now = clock.now()
    batch = {key: value.to(accelerator.device, non_blocking=True) for key, value in micro.batch.items()}
    now = clock.spend("data", now)
    if training.target is None:
        return batch, None
    _seed(seed, "teacher", micro.pass_number, accelerator)
    with torch.no_grad():
        target = training.target(batch, micro.rows)
    clock.spend("teacher", now)
    return batch, target


def _gather_terms(
    terms: Mapping[str, list[dict[str, Tensor]]], norms: list[Any], accelerator: Accelerator
) -> dict[str, StepResult]:
    """Sum each learner's terms over the processes and copy them to the CPU, waiting for the device once.

    Args:
        terms: learner name -> one entry a micro-batch: the loss and its terms, scalars on the device.
        norms: gradient norm of each learner before clipping, in the order of ``terms``.
        accelerator: the processes to sum over.

    Returns:
        Learner name -> the result of its step, the same on every process.
    """
    flat = torch.stack([value.float() for passes in terms.values() for each in passes for value in each.values()])
    if accelerator.num_processes > 1:
        flat = accelerator.reduce(flat, "sum")
    numbers = iter(torch.cat((flat, torch.stack([norm.float() for norm in norms]))).tolist())
    passes = {name: [{term: next(numbers) for term in each} for each in entries] for name, entries in terms.items()}
    return {name: StepResult(entries, next(numbers)) for name, entries in passes.items()}


def _score(score: Callable[[nn.Module], float], state: State, accelerator: Accelerator) -> None:
    """Score every learner on the main process and send its scores to the others."""
    for name, learner in state.learners.items():
        learner.eval()
        value = score(learner) if accelerator.is_main_process else 0.0
        if accelerator.num_processes > 1:
            value = broadcast(torch.tensor(value, dtype=torch.float64, device=accelerator.device)).item()
        state.score(name, float(value))


def _seed(seed: int, name: str, pass_number: int, accelerator: Accelerator) -> None:
    """Seed the dropout of one pass: by learner and, since their rows differ, by process.

    The first process uses the seed of a run on a single process.
    """
    rank = f"/{accelerator.process_index}" if accelerator.process_index else ""
    torch.manual_seed(crc32(f"{seed}/{name}/{pass_number}{rank}".encode()))
