"""From which width bfloat16 pays on a CPU with units for it.

    python benchmarks/engine/precision.py FOLDER_OF_SST-2

Epochs of the pipeline's own loop take turns in one process: a student alone, as in the prediction phase, and a student
with a teacher twice as wide, as in the intermediate phase; in float32 and in bfloat16, for students of several widths.
Batches of 32 rows. ``CPU_WIDTH`` in ``pipeline/engine/precision.py`` goes by it.
"""

import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from rounds import print_machine
from setting import BATCH, Engine, Shape, arguments, sentences, token_table, typical
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from pipeline.config.precision import Precision
from pipeline.config.training import TrainingConfig
from pipeline.data.tokens.batches import BatchPlan
from pipeline.distillation.objective import Objective, Part
from pipeline.distillation.terms.response import SoftTerm
from pipeline.engine.guides.outputs import stored_outputs
from pipeline.engine.learner import Learner
from pipeline.engine.objectives import TEACHER
from pipeline.engine.rows import reader
from pipeline.features import Seen
from pipeline.models.precision import autocast
from pipeline.progress import Silent
from pipeline.training.loop import Training, train

WIDTHS = (84, 120, 192, 252, 312, 384)
LAYERS = 4
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


def shape(width: int) -> Shape:
    """A BERT so wide, four layers deep."""
    return Shape(LAYERS, width, 4 * width)


def logits_of_batch(batch: Mapping[str, Tensor], _rows: NDArray[np.int64]) -> Mapping[str, Seen]:
    """The logits that were read with the batch."""
    return {TEACHER: stored_outputs(batch)}


def alone(rows: Sequence[list[int]], width: int, precision: Precision) -> Callable[[], float]:
    """Seconds of an epoch of a student that learns logits."""
    table = token_table(rows)
    torch.manual_seed(0)
    learner = Learner(
        AutoModelForSequenceClassification.from_config(shape(width).config()),
        Objective([Part("soft", SoftTerm("classes"), guide=TEACHER)]),
    )
    read = reader(table, pad_id=0, columns=lambda chosen: {"logits": np.zeros((len(chosen), 2), np.float32)})

    def seconds() -> float:
        with tempfile.TemporaryDirectory() as scratch:
            _, speed = train(
                Training({"student": learner}, BatchPlan(table.lengths, BATCH, seed=0), read, logits_of_batch),
                TrainingConfig(epochs=1, batch_size=BATCH, learning_rate=1e-4),
                seed=0,
                accelerator=Accelerator(cpu=True),
                checkpoints=Path(scratch),
                checkpoint_seconds=1e9,
                checkpoint_share=1.0,
                progress=Silent(),
                autocast=lambda: autocast(precision, torch.device("cpu")),
            )
        return speed["seconds"]

    return seconds


def taught(rows: Sequence[list[int]], width: int, precision: Precision) -> Callable[[], float]:
    """Seconds of an epoch of a student that learns a teacher's features."""
    engine = Engine(rows, shape(2 * width), {"student": shape(width)}, precision=precision)
    return lambda: engine.epoch()["seconds"]


def main() -> None:
    asked = arguments(__doc__, rounds=5)
    rows = typical(sentences(asked), asked.batches)
    print_machine()
    for width in (24,) if asked.quick else WIDTHS:
        line = f"{width} wide"
        for name, measure in (("alone", alone), ("with a teacher", taught)):
            epochs = [measure(rows, width, precision) for precision in PRECISIONS]
            taken = [[epoch() for epoch in epochs] for _ in range(asked.rounds + 1)][1:]
            line += f"; {name} bfloat16 is {statistics.median(a / b for a, b in taken):.2f} times as fast"
        print(line, flush=True)


if __name__ == "__main__":
    main()
