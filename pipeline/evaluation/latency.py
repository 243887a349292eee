"""A latency is the time of one forward pass; the models that are compared take turns.

The load of a machine changes over time, so the models run round by round, and a slow minute affects all of them. Each
round has an order of its own: a model that always ran after the largest one would always find its caches emptied.

Other work on a machine makes a pass slower and never faster, so the low end of many passes is the model's own time.
The tenth percentile is used instead of the minimum: other work moves it as little, and the bootstrap is valid for it
(with the minimum, a fifth of simulated comparisons of equal models had an interval without 1, not a twentieth).
"""

from collections.abc import Iterator, Mapping, Sequence
from time import perf_counter
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import ModelError
from pipeline.evaluation.metrics import interval
from pipeline.progress import Progress, Silent

WARM_UP = 2
ENOUGH_SECONDS = 3.0  # of rounds beyond the least: a long pass has little noise of its own
LOW, MIDDLE, HIGH = 0.1, 0.5, 0.9
LARGEST_SPREAD = 1.5  # of the ninetieth to the tenth percentile: on a quiet machine it is below 1.2
RESAMPLES = 1000


class Timing(TypedDict):
    """Summary of one model's passes.

    Attributes:
        milliseconds: tenth percentile of the times of a batch.
        median: median of the same times.
        p90: their ninetieth percentile.
        rounds: number of passes.
        speed: how many times faster than the model it is compared with, and the interval: (ratio, low, high).
        reliable: the times of neither model are scattered.
    """

    milliseconds: float
    median: float
    p90: float
    rounds: int
    speed: tuple[float, float, float] | None
    reliable: bool


class LatencyRow(Timing):
    """The timing of one model at one length and batch."""

    model: str
    length: int
    batch: int


def measure_latency(
    models: Mapping[str, nn.Module],
    lengths: Sequence[int],
    batches: Sequence[int],
    vocab_size: int,
    seed: int,
    *,
    rounds: tuple[int, int],
    against: str | None = None,
    progress: Progress | None = None,
) -> list[LatencyRow]:
    """Time every model at every length and batch, interleaved, in inference mode.

    Each model runs on the device it is on; its training mode is restored afterwards. A length above a model's
    positions is left out for that model.

    Args:
        models: name -> model that takes ``input_ids`` and ``attention_mask``, each (batch, length).
        lengths: word pieces a row; rows are full, there is no padding.
        batches: rows a forward pass.
        vocab_size: word pieces are drawn below it; at most the smallest vocabulary among the models.
        seed: seed of the word pieces, the order in each round, and the interval.
        rounds: (least, most) timed passes of each cell after two warm-up passes; above the least if they are short.
        against: name of the model that the others are compared with.
        progress: receives the number of finished cells.

    Raises:
        ModelError: ``vocab_size`` is larger than a model's vocabulary.
    """
    for name, model in models.items():
        known = getattr(getattr(model, "config", None), "vocab_size", vocab_size)
        if vocab_size > known:
            raise ModelError(
                f"{name} knows {known} word pieces, latency asks for {vocab_size}: pass the smaller number"
            )
    progress = progress or Silent()
    generator, orders = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    modes = {name: model.training for name, model in models.items()}
    rows: list[LatencyRow] = []
    try:
        for model in models.values():
            model.eval()
        cells = [(length, batch) for length in lengths for batch in batches]
        for done, (length, batch) in enumerate(cells, start=1):
            able = {name: model for name, model in models.items() if length <= longest_input(model)}
            pieces = torch.randint(vocab_size, (batch, length), generator=generator)
            times = _take_turns(able, pieces, rounds, orders)
            for name, timing in summarise_times(times, against, seed).items():
                rows.append({"model": name, "length": length, "batch": batch, **timing})
            progress.update(done, len(cells))
    finally:
        for name, model in models.items():
            model.train(modes[name])
    return rows


def longest_input(model: nn.Module) -> float:
    """Return the number of word pieces that a model has positions for; infinite without a table of positions.

    Families that number positions from after the padding index (RoBERTa) have that many fewer.
    """
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            reserved = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - reserved
    positions = getattr(getattr(model, "config", None), "max_position_embeddings", None)
    return float("inf") if positions is None else positions


def rounds_for(seconds: float, rounds: tuple[int, int]) -> int:
    """Return the number of rounds to time if one takes ``seconds``; ``rounds`` are the least and the most."""
    least, most = rounds
    return max(least, min(most, int(ENOUGH_SECONDS / max(seconds, 1e-9))))


def summarise_times(times: Mapping[str, Sequence[float]], against: str | None, seed: int) -> dict[str, Timing]:
    """Summarise rounds in which every model was timed once.

    The bootstrap draws whole rounds, so a slow minute, which affected all models, cancels out of the ratio.

    Args:
        times: model -> milliseconds, one a round.
        against: the model that the others are compared with; None, or one that was not timed, for no comparison.
        seed: seed of the draws.
    """
    figures = {name: np.quantile(values, (LOW, MIDDLE, HIGH)) for name, values in times.items()}
    reference = times.get(against) if against else None
    steady = {name: bool(high <= LARGEST_SPREAD * low) for name, (low, _, high) in figures.items()}
    return {
        name: {
            "milliseconds": float(low),
            "median": float(middle),
            "p90": float(high),
            "rounds": len(times[name]),
            "speed": None if reference is None or name == against else _ratio(reference, times[name], seed),
            "reliable": steady[name] and steady.get(against or name, True),
        }
        for name, (low, middle, high) in figures.items()
    }


def _ratio(slow: Sequence[float], fast: Sequence[float], seed: int) -> tuple[float, float, float]:
    """Return the ratio of the tenth percentiles of two models' times, with its interval."""
    rows = np.array([slow, fast])
    rounds = np.random.default_rng(seed).integers(len(slow), size=(RESAMPLES, len(slow)))
    slow_low, fast_low = np.quantile(rows[:, rounds], LOW, axis=2)
    ratio = np.quantile(rows[0], LOW) / np.quantile(rows[1], LOW)
    return (float(ratio), *interval(slow_low / fast_low))


@torch.inference_mode()
def _take_turns(
    models: Mapping[str, nn.Module], pieces: Tensor, rounds: tuple[int, int], orders: np.random.Generator
) -> dict[str, list[float]]:
    """Return the milliseconds of each model, one a round; empty without models."""
    if not models:
        return {}
    turns = _turns(models, pieces, orders)
    *_, last = (next(turns) for _ in range(WARM_UP))
    timed = [next(turns) for _ in range(rounds_for(sum(last.values()) / 1000, rounds))]
    return {name: [turn[name] for turn in timed] for name in models}


def _turns(models: Mapping[str, nn.Module], pieces: Tensor, orders: np.random.Generator) -> Iterator[dict[str, float]]:
    """Yield rounds without end: the milliseconds of each model."""
    names = list(models)
    devices = {name: next(model.parameters()).device for name, model in models.items()}
    inputs = {
        name: {"input_ids": pieces.to(device), "attention_mask": torch.ones_like(pieces, device=device)}
        for name, device in devices.items()
    }
    while True:
        times = {}
        for number in orders.permutation(len(names)):
            name = names[number]
            _synchronize(devices[name])
            start = perf_counter()
            models[name](**inputs[name])
            _synchronize(devices[name])
            times[name] = 1000 * (perf_counter() - start)
        yield times


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
