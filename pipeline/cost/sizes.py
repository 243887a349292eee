"""How large things are: rows a rehearsal can afford, and steps and tokens that the real rows will make."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from pipeline.config.training import TrainingConfig
from pipeline.data.tokens.batches import BatchPlan

MOST_BATCHES, FEWEST_BATCHES, FEWEST_ROWS = 8, 2, 4
PASSES = 2
MOST_PLANNED = 200_000  # rows; the batches of more are as full as these


@dataclass(frozen=True)
class Small:
    """A training made small.

    Attributes:
        config: two passes; smaller batches where a step of the real ones would take too long.
        rows: it needs.
        larger_batches: rows of a real batch over those of a small one.
    """

    config: TrainingConfig
    rows: int
    larger_batches: float


def small_training(
    config: TrainingConfig, *, tokens_a_row: float, max_length: int, seconds_a_token: float, budget: float
) -> Small:
    """Two passes over a few batches, in about so many seconds.

    Args:
        config: the real training.
        tokens_a_row: on the average.
        max_length: of a row.
        seconds_a_token: of training, roughly; only how many rows are rehearsed depends on it.
        budget: seconds.
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


@dataclass(frozen=True)
class Batches:
    """Batches of one pass.

    Attributes:
        steps: of the optimizer.
        tokens: computed, padding included.
    """

    steps: int
    tokens: float


def batches(lengths: NDArray[np.int32], rows: float, config: TrainingConfig, *, max_length: int) -> Batches:
    """The batches that so many rows of such lengths make.

    Args:
        lengths: of rows drawn at random, or of all.
        rows: there will be.
        config: of the training.
        max_length: rows are padded to where the configuration asks for it.
    """
    planned = min(max(1, round(rows)), max(MOST_PLANNED, len(lengths)))
    some = lengths if planned == len(lengths) else stretched(lengths, planned)
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


def stretched(lengths: NDArray[np.int32], rows: int) -> NDArray[np.int32]:
    """So many lengths, distributed as those given."""
    places = np.linspace(0, len(lengths) - 1, rows)
    return np.sort(lengths)[np.round(places).astype(np.int64)]


def total_steps(config: TrainingConfig, steps: int) -> int:
    """Steps of the optimizer in all, of so many a pass."""
    return min(config.max_steps or steps * config.epochs, steps * config.epochs)
