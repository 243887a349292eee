"""How many rows a rehearsal can afford, and how many steps and tokens the real rows will make."""

from dataclasses import dataclass
from functools import reduce
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from pipeline.config.training import TrainingConfig
from pipeline.data.tokens.batches import BatchPlan

Lengths = NDArray[np.int32]  # of rows, in tokens
MOST_BATCHES, FEWEST_BATCHES, FEWEST_ROWS = 8, 2, 4
PASSES = 2
MOST_PLANNED = 200_000  # rows; the batches of more are as full as these


def place_of_training(config: BaseModel) -> tuple[str, ...]:
    """Return the fields that lead to the training configuration within a stage's configuration; () if it has none."""
    for name, value in config:
        if isinstance(value, TrainingConfig):
            return (name,)
        if isinstance(value, BaseModel) and (place := place_of_training(value)):
            return (name, *place)
    return ()


def training_of(config: Any) -> TrainingConfig:
    """Return the training configuration within the configuration of a stage that trains."""
    training: TrainingConfig = reduce(getattr, place_of_training(config), config)
    return training


@dataclass(frozen=True)
class Small:
    """A shrunk training.

    Attributes:
        config: two epochs; smaller batches if a step with the real ones would take too long.
        rows: number of rows it needs.
        larger_batches: rows of a real batch divided by rows of a shrunk one, at least 1.
    """

    config: TrainingConfig
    rows: int
    larger_batches: float


def small_training(
    config: TrainingConfig, *, tokens_a_row: float, max_length: int, seconds_a_token: float, budget: float
) -> Small:
    """Shrink a training to two epochs over a few batches that take about ``budget`` seconds.

    Args:
        config: the real training.
        tokens_a_row: tokens of a row, on average.
        max_length: longest row, in tokens.
        seconds_a_token: rough seconds to train on one token; only the number of rehearsed rows depends on it.
        budget: seconds that the rehearsed training should take.
    """
    tokens = max_length if config.padding == "max_length" else max(1.0, tokens_a_row)
    batch = max(1.0, config.max_tokens / tokens) if config.max_tokens else float(config.batch_size)
    affordable = budget / (PASSES * seconds_a_token * tokens)
    batches = min(MOST_BATCHES, max(FEWEST_BATCHES, int(affordable / batch)))
    rows_a_batch = max(min(FEWEST_ROWS, batch), min(batch, affordable / batches))
    fewer = rows_a_batch / batch
    changes: dict[str, object] = {
        "epochs": PASSES,
        "max_steps": None,
        "gradient_accumulation": 1,
        "drop_last": False,
        "batch_size": max(1, round(config.batch_size * fewer)),
        "max_tokens": config.max_tokens and max(1, round(config.max_tokens * fewer)),
    }
    return Small(
        config.model_copy(update=changes),
        rows=ceil(batches * rows_a_batch),
        larger_batches=1 / fewer,
    )


class Batches(NamedTuple):
    """The batches of one epoch: optimizer steps, and tokens computed, padding included."""

    steps: int
    tokens: float


def batches(lengths: Lengths, rows: float, config: TrainingConfig, *, max_length: int) -> Batches:
    """Count the steps and tokens of one epoch.

    Args:
        lengths: (sample,), lengths in tokens of rows drawn at random, or of all rows.
        rows: number of rows of the epoch.
        config: batch size or tokens a batch, gradient accumulation, padding.
        max_length: length that rows are padded to if ``config.padding`` is "max_length".
    """
    planned = min(max(1, round(rows)), max(MOST_PLANNED, len(lengths)))
    some = lengths if planned == len(lengths) else resampled(lengths, planned)
    plan = BatchPlan(
        some,
        config.batch_size,
        seed=0,
        max_tokens=config.max_tokens,
        drop_last=config.drop_last,
        pad_to=max_length if config.padding == "max_length" else None,
    )
    more = rows / planned
    return Batches(
        steps=ceil(len(plan) * more / config.gradient_accumulation),
        tokens=float(some.sum()) / plan.padding_efficiency * more,
    )


def resampled(lengths: Lengths, rows: int) -> Lengths:
    """Resample ``lengths`` to ``rows`` values with the same distribution, ascending.

    Args:
        lengths: (sample,), lengths in tokens.
        rows: number of values to return.
    """
    positions = np.linspace(0, len(lengths) - 1, rows)
    return np.sort(lengths)[np.round(positions).astype(np.int64)]


def total_steps(config: TrainingConfig, steps: int) -> int:
    """Return the number of optimizer steps of a whole training.

    Args:
        config: epochs and max_steps.
        steps: number of steps an epoch.
    """
    return min(config.max_steps or steps * config.epochs, steps * config.epochs)
