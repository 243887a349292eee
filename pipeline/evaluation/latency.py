"""A latency is the time of one forward pass, measured beside the other models, not after them.

Machines drift: they heat up, they are shared. So the models take turns, round by round, each round
starting with the next one, and a slow minute is paid by all of them. What is kept is the median, with the
tenth and ninetieth percentile as the spread.
"""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import ModelError

WARM_UP = 2


class LatencyRow(TypedDict):
    """One model at one length and batch; times in milliseconds a batch."""

    model: str
    length: int
    batch: int
    milliseconds: float
    p10: float
    p90: float


def measure_latency(
    models: Mapping[str, nn.Module],
    lengths: Sequence[int],
    batches: Sequence[int],
    vocab_size: int,
    seed: int,
    *,
    repeats: int = 20,
) -> list[LatencyRow]:
    """Time every model at every length and batch, interleaved, in inference mode.

    Each model runs on the device it is on; its training mode is put back afterwards. A length above a
    model's positions is left out for that model.

    Args:
        models: name -> model that takes ``input_ids`` and ``attention_mask``, each (batch, length).
        lengths: word pieces a row; rows are full, there is no padding.
        batches: rows a forward pass.
        vocab_size: word pieces are drawn below it; at most the smallest vocabulary among the models.
        seed: of the word pieces drawn.
        repeats: timed passes of each cell, after two that are not timed.

    Raises:
        ModelError: ``vocab_size`` is larger than a model's vocabulary.
    """
    for name, model in models.items():
        known = getattr(getattr(model, "config", None), "vocab_size", vocab_size)
        if vocab_size > known:
            msg = f"{name} knows {known} word pieces, latency asks for {vocab_size}: pass the smaller number"
            raise ModelError(msg)
    generator = torch.Generator().manual_seed(seed)
    modes = {name: model.training for name, model in models.items()}
    rows: list[LatencyRow] = []
    try:
        for model in models.values():
            model.eval()
        for length in lengths:
            able = {name: model for name, model in models.items() if length <= longest_input(model)}
            for batch in batches:
                pieces = torch.randint(vocab_size, (batch, length), generator=generator)
                for name, times in _take_turns(able, pieces, repeats).items():
                    p10, median, p90 = (float(p) for p in np.percentile(times, (10, 50, 90)))
                    rows.append(
                        LatencyRow(model=name, length=length, batch=batch, milliseconds=median, p10=p10, p90=p90)
                    )
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


@torch.inference_mode()
def _take_turns(models: Mapping[str, nn.Module], pieces: Tensor, repeats: int) -> dict[str, list[float]]:
    names = list(models)
    devices = {name: next(model.parameters()).device for name, model in models.items()}
    inputs = {
        name: {"input_ids": pieces.to(device), "attention_mask": torch.ones_like(pieces, device=device)}
        for name, device in devices.items()
    }
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(WARM_UP + repeats):
        shift = turn % max(len(names), 1)
        for name in names[shift:] + names[:shift]:
            _synchronize(devices[name])
            start = perf_counter()
            models[name](**inputs[name])
            _synchronize(devices[name])
            if turn >= WARM_UP:
                times[name].append(1000 * (perf_counter() - start))
    return times


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
