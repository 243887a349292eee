"""A latency is the time of one forward pass, measured beside the other models, not after them.

Machines drift: they heat up, they are shared. So the models take turns, round by round, and a slow minute is paid by
all of them. Each round has an order of its own: a model that always came after the largest one would always find the
caches emptied by it, and look slower than its twin. What is kept of the times says ``timings.py``.
"""

from collections.abc import Iterator, Mapping, Sequence
from time import perf_counter
from typing import TypedDict, cast

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import ModelError
from pipeline.evaluation.timings import judge
from pipeline.progress import Progress, Silent

WARM_UP = 2
ENOUGH_SECONDS = 3.0  # of rounds beyond the least: a long pass has little noise of its own


class LatencyRow(TypedDict):
    """One model at one length and batch; times in milliseconds a batch, otherwise as in ``Timing``."""

    model: str
    length: int
    batch: int
    milliseconds: float
    median: float
    p90: float
    rounds: int
    speed: tuple[float, float, float] | None
    reliable: bool


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

    Each model runs on the device it is on; its training mode is put back afterwards. A length above a
    model's positions is left out for that model.

    Args:
        models: name -> model that takes ``input_ids`` and ``attention_mask``, each (batch, length).
        lengths: word pieces a row; rows are full, there is no padding.
        batches: rows a forward pass.
        vocab_size: word pieces are drawn below it; at most the smallest vocabulary among the models.
        seed: of the word pieces, the order in each round, and the interval.
        rounds: timed passes of each cell after two that are not: at least, and at most where they are short.
        against: the model whose time the others' is compared with.
        progress: is told how many cells are done.

    Raises:
        ModelError: ``vocab_size`` is larger than a model's vocabulary.
    """
    for name, model in models.items():
        known = getattr(getattr(model, "config", None), "vocab_size", vocab_size)
        if vocab_size > known:
            msg = f"{name} knows {known} word pieces, latency asks for {vocab_size}: pass the smaller number"
            raise ModelError(msg)
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
            for name, timing in judge(times, against, seed).items():
                row = {"model": name, "length": length, "batch": batch, **timing._asdict()}
                rows.append(cast("LatencyRow", row))
            progress.update(done, len(cells))
    finally:
        for name, model in models.items():
            model.train(modes[name])
    return rows


def longest_input(model: nn.Module) -> float:
    """Word pieces a model has positions for; infinite when it has no table of positions.

    Families that number positions from after the padding index (RoBERTa) have that many fewer.
    """
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            reserved = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - reserved
    positions = getattr(getattr(model, "config", None), "max_position_embeddings", None)
    return float("inf") if positions is None else positions


def rounds_for(seconds: float, rounds: tuple[int, int]) -> int:
    """How many rounds to time where one takes so many seconds."""
    least, most = rounds
    return max(least, min(most, int(ENOUGH_SECONDS / max(seconds, 1e-9))))


@torch.inference_mode()
def _take_turns(
    models: Mapping[str, nn.Module], pieces: Tensor, rounds: tuple[int, int], orders: np.random.Generator
) -> dict[str, list[float]]:
    """Milliseconds of each model, one a round; empty without models."""
    if not models:
        return {}
    turns = _turns(models, pieces, orders)
    *_, last = (next(turns) for _ in range(WARM_UP))
    timed = [next(turns) for _ in range(rounds_for(sum(last.values()) / 1000, rounds))]
    return {name: [turn[name] for turn in timed] for name in models}


def _turns(models: Mapping[str, nn.Module], pieces: Tensor, orders: np.random.Generator) -> Iterator[dict[str, float]]:
    """Rounds without end: what each model took, in milliseconds."""
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
