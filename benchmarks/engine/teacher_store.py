"""What storing the teacher's word saves: features in the intermediate phase, logits in the prediction phase.

    python benchmarks/engine/teacher_store.py FOLDER_OF_SST-2
    python benchmarks/engine/teacher_store.py FOLDER_OF_SST-2 --whole

Epochs of the pipeline's own loop take turns in one process: one that asks the teacher, one that asks it and
stores, one that reads; each starts from the same weights. What ten epochs take is added up from their medians.
That the losses are the same is checked, not assumed. A 12-layer teacher, 768 wide, with a 4-layer student, 312 wide,
then with a 3-layer one, 192 wide; all random, with dropout in the student; float32; batches of 32 rows and, of the
intermediate phase, also of 2,048 tokens.

With ``--whole`` nothing is added up: ten epochs over 5,000 rows that ask the teacher in each, then ten over the same
rows that ask it in the first and read in the others, from beginning to end; batches of 2,048 tokens, the smaller
student.
"""

import copy
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from rounds import print_machine
from setting import BATCH, BUDGET, Shape, arguments, model, sentences, shapes, token_table, typical
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from pipeline.config.distillation import TRANSFORMER_LAYERS
from pipeline.config.models import StudentConfig
from pipeline.config.training import TrainingConfig
from pipeline.data.tokens.batches import BatchPlan
from pipeline.data.tokens.table import TokenTable
from pipeline.distillation.objective import Objective, Part
from pipeline.distillation.terms.response import SoftTerm
from pipeline.engine.guides.frozen import frozen_teacher
from pipeline.engine.guides.outputs import stored_outputs
from pipeline.engine.inference import predict_logits
from pipeline.engine.learner import Learner
from pipeline.engine.objectives import TEACHER, build_learners, guide_taps
from pipeline.engine.rows import reader
from pipeline.engine.teacher_cache.cached_teacher import CachedTeacher
from pipeline.features import OUTPUT
from pipeline.models.taps import encode
from pipeline.progress import Silent
from pipeline.training.loop import Training, train

Curve = list[dict[str, float]]
KEPT_EPOCHS = 10
WHOLE_ROWS = 5_000
SMALLER = Shape(3, 192, 768)
PREDICTION_EPOCHS = 3


def trained(
    learner: nn.Module, plan: BatchPlan, read: Any, target: Any, *, epochs: int = 1, progress: Any = None
) -> tuple[float, Curve]:
    """Seconds and loss curve of a training from the learner's weights, which stay as they are."""
    with tempfile.TemporaryDirectory() as scratch:
        histories, speed = train(
            Training({"student": copy.deepcopy(learner)}, plan, read, target),
            TrainingConfig(epochs=epochs, batch_size=BATCH, learning_rate=1e-4),
            seed=0,
            accelerator=Accelerator(cpu=True),
            checkpoints=Path(scratch),
            checkpoint_seconds=1e9,
            checkpoint_share=1.0,
            progress=progress or Silent(),
        )
    return speed["seconds"], histories["student"].curve


class Printed(Silent):
    """Notes as lines."""

    def note(self, message: str) -> None:
        """Print it."""
        print(f"  {message}", flush=True)


def trainings(
    table: TokenTable, plan: BatchPlan, teacher: Shape, student: Shape, *, always: bool = False
) -> tuple[Any, Any, Any]:
    """What trains the student from its start, a teacher that computes, and how to make one that caches."""
    config = StudentConfig(
        name="student", layers=student.layers, hidden=student.hidden, heads=student.heads, intermediate=student.inner
    )
    instructor = model(teacher, 0)
    learners = build_learners([config], {"student": model(student, 1)}, instructor.config, TRANSFORMER_LAYERS, seed=0)
    taps, read = guide_taps(learners), reader(table, pad_id=0)
    features = frozen_teacher(instructor, taps, torch.device("cpu"))

    def store(cache_dir: str) -> CachedTeacher:
        return CachedTeacher(
            features,
            plan,
            cache_dir=Path(cache_dir),
            key="features",
            passes=KEPT_EPOCHS,
            budget=1e12,
            progress=Printed(),
            always=always,
        )

    def asked(batch: Mapping[str, Tensor], _rows: NDArray[np.int64]) -> Any:
        return features(batch)

    def once(target: Any, epochs: int = 1) -> tuple[float, Curve]:
        return trained(
            learners["student"], plan, read, lambda batch, rows: {TEACHER: target(batch, rows)}, epochs=epochs
        )

    return once, asked, store


def whole(table: TokenTable, plan: BatchPlan, teacher: Shape, student: Shape, *, always: bool) -> None:
    """Ten epochs that ask the teacher in each, and ten that ask it once, from beginning to end."""
    once, asked, store = trainings(table, plan, teacher, student, always=always)
    once(asked)  # warms up
    asking, told = once(asked, KEPT_EPOCHS)
    print(f"{KEPT_EPOCHS} epochs that ask: {asking:.1f} s", flush=True)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as cache_dir:
        kept = store(cache_dir)
        storing, curve = once(kept, KEPT_EPOCHS)
    if curve != told:
        raise SystemExit("the losses differ")
    print(f"{KEPT_EPOCHS} epochs that ask in the first: {storing:.1f} s; {kept.record()['batches']}")
    print(f"{asking / storing:.2f}x (goal 4x); {len(curve)} losses are the same to the last bit")


def intermediate(table: TokenTable, plan: BatchPlan, teacher: Shape, student: Shape, *, rounds: int) -> None:
    """Epochs that ask the teacher, that store what it says, and that read it."""
    once, asked, store = trainings(table, plan, teacher, student)
    seconds: dict[str, list[float]] = {"asking": [], "storing": [], "reading": []}
    for number in range(rounds + 1):  # the first one warms up
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as cache_dir:
            found = {"asking": once(asked), "storing": once(store(cache_dir)), "reading": once(store(cache_dir))}
        curves = [curve for _, curve in found.values()]
        if not curves[0] == curves[1] == curves[2]:
            raise SystemExit("the losses differ")
        if number:
            for name, (taken, _) in found.items():
                seconds[name].append(taken)
    report(seconds, "asking", int(table.lengths.sum()))
    asking, storing, reading = (statistics.median(each) for each in seconds.values())
    print(f"an epoch that reads against one that asks: {asking / reading:.2f}x")
    together = KEPT_EPOCHS * asking / (storing + (KEPT_EPOCHS - 1) * reading)
    print(f"{KEPT_EPOCHS} epochs, added up: {together:.2f}x (goal 4x); the losses are the same to the last bit")


def prediction(table: TokenTable, plan: BatchPlan, teacher: Shape, student: Shape, *, rounds: int) -> None:
    """Epochs with the logits of a table, whose making counts, and with those the teacher is asked for."""
    torch.manual_seed(0)
    instructor = AutoModelForSequenceClassification.from_config(teacher.config()).eval()
    predictor = Learner(
        AutoModelForSequenceClassification.from_config(student.config()),
        Objective([Part("soft", SoftTerm("classes"), guide=TEACHER)]),
    )

    def asked(batch: Mapping[str, Tensor], _rows: NDArray[np.int64]) -> Any:
        return {TEACHER: {OUTPUT: encode(instructor, batch).logits}}

    def stored(batch: Mapping[str, Tensor], _rows: NDArray[np.int64]) -> Any:
        return {TEACHER: stored_outputs(batch)}

    seconds: dict[str, list[float]] = {"asking": [], "making the table": [], "reading": []}
    for number in range(rounds + 1):
        taken, told = trained(predictor, plan, reader(table, pad_id=0), asked)
        began = time.perf_counter()
        logits = predict_logits(instructor, table, pad_id=0)
        made = time.perf_counter() - began
        read = reader(table, pad_id=0, columns=lambda rows, logits=logits: {"logits": logits[rows]})
        kept, curve = trained(predictor, plan, read, stored)
        for a, b in zip(told, curve, strict=True):
            if abs(a["loss"] - b["loss"]) > 1e-4 * abs(a["loss"]):
                raise SystemExit(f"the losses differ: {a['loss']} and {b['loss']}")
        if number:
            for name, value in zip(seconds, (taken, made, kept), strict=True):
                seconds[name].append(value)
    report(seconds, "asking", int(table.lengths.sum()))
    asking, making, reading = (statistics.median(each) for each in seconds.values())
    epochs = PREDICTION_EPOCHS
    print(
        f"{epochs} epochs with the making of the table: {epochs * asking / (making + epochs * reading):.2f}x (goal 3x)"
    )
    print(f"{epochs} epochs of each further training: {asking / reading:.2f}x; losses agree within 1e-4")


def report(seconds: Mapping[str, Sequence[float]], first: str, tokens: int) -> None:
    """Medians, and what is gained against ``first`` within each round."""
    for name, taken in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(seconds[first], taken, strict=True))
        middle = statistics.median(taken)
        print(f"{name}: {middle:.2f} s an epoch, {tokens / middle:,.0f} real tokens/s, {ratio:.2f}x", flush=True)


def main() -> None:
    asked = arguments(__doc__, rounds=3, whole="ten whole epochs over 5,000 rows")
    teacher, student = shapes(quick=asked.quick)
    everything = sentences(asked)
    print_machine()
    if asked.whole:
        places = np.random.default_rng(0).permutation(len(everything))[: 60 if asked.quick else WHOLE_ROWS]
        table = token_table([everything[place] for place in places])
        plan = BatchPlan(table.lengths, BATCH, seed=0, max_tokens=BUDGET)
        print(f"{len(plan)} batches, {len(table)} rows, {table.lengths.sum()} tokens")
        # Whether it pays for the tiny models of --quick is a matter of the machine, and not what is to be seen there.
        whole(table, plan, teacher, student if asked.quick else SMALLER, always=asked.quick)
        return
    for budget, phases in ((None, (intermediate, prediction)), (BUDGET, (intermediate,))):
        batches = asked.batches if budget is None else max(3, asked.batches * BATCH * 13 // budget)
        rows = typical(everything, batches, max_tokens=budget)
        table = token_table(rows)
        plan = BatchPlan(table.lengths, BATCH, seed=0, max_tokens=budget)
        print(f"{len(plan)} batches, {len(rows)} rows, {table.lengths.sum()} tokens")
        for shape in (student,) if asked.quick else (student, SMALLER):
            for measure in phases:
                print(f"{measure.__name__} phase, student of {shape.layers} layers, {shape.hidden} wide")
                measure(table, plan, teacher, shape, rounds=asked.rounds)


if __name__ == "__main__":
    main()
