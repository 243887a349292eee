"""What is not finite stops a training before it reaches the weights, and is named so that it can be mended."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import TrainingError
from pipeline.training.checkpoint import last_good
from pipeline.training.feed import Step

SHOWN_ROWS = 8


@dataclass(frozen=True)
class Told:
    """What one step of a learner came to.

    Attributes:
        passes: loss and terms of each forward and backward pass, over all processes.
        norm: length of the step's gradient before it was cut.
    """

    passes: list[dict[str, float]]
    norm: float

    @property
    def terms(self) -> dict[str, float]:
        """Loss and terms of the whole step."""
        return {name: sum(each[name] for each in self.passes) for name in self.passes[0]}


def check_finite(told: Mapping[str, Told], step: Step, number: int, checkpoints: Path) -> None:
    """Refuse a step whose loss or gradient is not finite: it would reach the weights, then a checkpoint.

    Raises:
        TrainingError: names the learner, the step, the rows and the last good checkpoint.
    """
    for name, values in told.items():
        broken = [place for place, each in enumerate(values.passes) if not math.isfinite(each["loss"])]
        if not broken and math.isfinite(values.norm):
            continue
        what, value = ("loss", values.passes[broken[0]]["loss"]) if broken else ("gradient norm", values.norm)
        raise TrainingError(
            f"{what} of {name!r} is {value} at step {number} on {_rows(step, broken)}; {last_good(checkpoints)}: "
            "lower the learning_rate of this stage's training, or look at those rows"
        )


def _rows(step: Step, broken: list[int]) -> str:
    """Some rows by the ``row_id`` their batch carries, which a user can look up, or else by their places."""
    passes = [step.micro[place] for place in broken[:1]] or step.micro
    ids = [micro.batch["row_id"].tolist() if "row_id" in micro.batch else micro.rows.tolist() for micro in passes]
    numbers = list(dict.fromkeys(number for each in ids for number in each))
    shown = ", ".join(str(each) for each in numbers[:SHOWN_ROWS])
    known = "row_id" in step.micro[0].batch
    return f"{'rows with row_id' if known else 'rows'} {shown}{'...' if len(numbers) > SHOWN_ROWS else ''}"
