"""Stop a training whose loss or gradient is not finite, before it reaches the weights, and name the rows."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import TrainingError
from pipeline.training.checkpoint import last_good
from pipeline.training.feed import Step

SHOWN_ROWS = 8


@dataclass(frozen=True)
class StepResult:
    """Losses and gradient norm of one step of one learner.

    Attributes:
        passes: one entry a micro-batch: "loss" and its terms by name, summed over all processes.
        norm: norm of the step's gradient before clipping.
    """

    passes: list[dict[str, float]]
    norm: float

    @property
    def terms(self) -> dict[str, float]:
        """Loss and terms summed over the micro-batches of the step."""
        return {name: sum(each[name] for each in self.passes) for name in self.passes[0]}


def check_finite(results: Mapping[str, StepResult], step: Step, number: int, checkpoints: Path) -> None:
    """Refuse a step whose loss or gradient is not finite: it would reach the weights, then a checkpoint.

    Args:
        results: learner name -> the result of its step.
        step: the micro-batches of the step.
        number: number of the step, from 0.
        checkpoints: folder of the checkpoints.

    Raises:
        TrainingError: names the learner, the step, the rows and the last good checkpoint.
    """
    for name, result in results.items():
        broken = [index for index, terms in enumerate(result.passes) if not math.isfinite(terms["loss"])]
        if not broken and math.isfinite(result.norm):
            continue
        what, value = ("loss", result.passes[broken[0]]["loss"]) if broken else ("gradient norm", result.norm)
        raise TrainingError(
            f"{what} of {name!r} is {value} at step {number} on {_rows(step, broken)}; {last_good(checkpoints)}: "
            "lower the learning_rate of this stage's training, or look at those rows"
        )


def _rows(step: Step, broken: list[int]) -> str:
    """Name some rows of a step: by ``row_id``, which a user can look up, or else by row index."""
    passes = [step.micro_batches[index] for index in broken[:1]] or step.micro_batches
    ids = [micro.batch["row_id"].tolist() if "row_id" in micro.batch else micro.rows.tolist() for micro in passes]
    numbers = list(dict.fromkeys(number for each in ids for number in each))
    shown = ", ".join(str(each) for each in numbers[:SHOWN_ROWS])
    known = "row_id" in step.micro_batches[0].batch
    return f"{'rows with row_id' if known else 'rows'} {shown}{'...' if len(numbers) > SHOWN_ROWS else ''}"
