"""The rows of a task for a rehearsal: all are read, some are drawn, more are tokenised to know their lengths."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.config.augmentation import Labels
from pipeline.config.distillation import PhaseConfig
from pipeline.config.training import TrainingConfig
from pipeline.cost.arithmetic import StageCost
from pipeline.cost.context import RehearsalContext
from pipeline.cost.samples import sample_task
from pipeline.cost.sizes import MOST_PLANNED, batches, resampled
from pipeline.cost.training import small
from pipeline.data.tasks.table import load_task, save_task
from pipeline.data.tokens.tokenizer import load_tokenizer
from pipeline.engine.inference import INFERENCE_TOKENS
from pipeline.engine.rows import write_rows
from pipeline.models.load import load_encoder
from pipeline.progress import Silent

FEW_ROWS, MANY_DEV_ROWS = 32, 512
TYPICAL_ROWS = 2_000  # are tokenised, to know how long rows are
SECONDS = 3.0  # of each rehearsal that is no training, about
SMALLER = 4  # the smaller of two sizes is this part of the larger


@dataclass
class TaskRows:
    """The rows of a task: all of them, and those of the rehearsal.

    Attributes:
        whole: folder of the task's tables.
        folder: folder of the shrunk tables.
        smaller: folder of tables ``SMALLER`` times smaller than these.
        rows: split -> number of real rows.
        here: split -> lengths in tokens of the rehearsal's rows, (rows,).
        there: split -> lengths of a sample of the real rows, (rows,); "variants" as well, once known.
        seconds_a_row: seconds to tokenise one row.
        max_length: longest row, in tokens.
        variants: expected number of variants.
        varied: folder of the rows that the rehearsal augments.
    """

    whole: Path
    folder: Path
    smaller: Path
    rows: dict[str, int]
    here: dict[str, NDArray[np.int32]]
    there: dict[str, NDArray[np.int32]]
    seconds_a_row: float
    max_length: int
    variants: float = 0.0
    varied: Path | None = None

    def reading_seconds(self, *splits: str) -> float:
        """Return the seconds that tokenising the real rows of some splits takes beyond the rehearsal's rows."""
        return sum(self.rows[split] - len(self.here[split]) for split in splits) * self.seconds_a_row

    @property
    def unlabelled(self) -> int:
        """Number of real rows without a label."""
        return self.rows.get("unlabelled", 0)

    @property
    def transfer_rows(self) -> float:
        """Number of training rows, unlabelled rows and variants."""
        return self.rows["train"] + self.unlabelled + self.variants

    @property
    def transfer_here(self) -> NDArray[np.int32]:
        """Lengths of the rehearsal's transfer set, (rows,); it has no variants."""
        return np.concatenate([self.here[split] for split in ("train", "unlabelled") if split in self.here])

    def transfer_there(self, *, augmented: bool = True) -> NDArray[np.int32]:
        """Return lengths distributed as in the real transfer set, (rows,), at most ``MOST_PLANNED`` of them.

        Args:
            augmented: include the variants.
        """
        counts = {"train": self.rows["train"], "unlabelled": self.unlabelled, "variants": augmented * self.variants}
        share = min(1.0, MOST_PLANNED / sum(counts.values()))
        sizes = {name: max(1, round(count * share)) for name, count in counts.items() if count}
        return np.concatenate([resampled(self.there[name], count) for name, count in sizes.items()])

    def dev_tokens(self) -> tuple[float, float]:
        """Return the tokens that a model computes for the dev rows: for the rehearsal's, and for the real ones."""
        here, there = self.here["dev"], self.there["dev"]
        return inference_tokens(here, len(here)), inference_tokens(there, self.rows["dev"])

    def learned_from(self, phase: PhaseConfig, labels: Labels) -> tuple[NDArray[np.int32], NDArray[np.int32], float]:
        """Return the rows that a phase trains on.

        Args:
            phase: its terms and whether it uses variants.
            labels: which label a variant carries.

        Returns:
            Lengths of the rehearsal's rows; lengths of a sample of the real rows; the largest possible number of
            real rows.
        """
        if phase.terms.gold_alone and labels != "origin":
            return self.here["train"], self.there["train"], self.rows["train"]
        if phase.augmented:
            return self.transfer_here, self.transfer_there(), self.transfer_rows
        return self.transfer_here, self.transfer_there(augmented=False), self.rows["train"] + self.unlabelled


def load_task_rows(context: RehearsalContext) -> tuple[TaskRows, StageCost | None]:
    """Load the task's tables and shrink them; return them and the cost of reading them, None if that is finished."""
    cost = None
    if context.will_run("task_data"):
        done = context.rehearse("task_data", context.stages["task_data"].config)
        context.artifacts["task_data"] = done.folder
        cost = StageCost(
            "task_data",
            context.action("task_data"),
            seconds=done.seconds,
            disk_bytes=done.output_bytes,
            peak_bytes=done.peak_bytes,
            basis="done for real",
        )
    whole = context.artifacts["task_data"]
    task = load_task(whole)
    if not context.forward_seconds:
        context.measure_teacher(load_encoder(context.model("teacher", "pretrained")))
    typical = sample_task(task, dict.fromkeys(task.splits, TYPICAL_ROWS), context.config.seed)
    there, seconds_a_row = lengths_of(context, typical.splits, task.max_length)
    counts = _counts(context, there, task.max_length)
    few = sample_task(task, counts, context.config.seed)
    fewer = sample_task(few, {split: max(1, rows // SMALLER) for split, rows in counts.items()}, context.config.seed)
    folder, smaller = (context.sealed("task_data", partial(save_task, some)) for some in (few, fewer))
    here, _ = lengths_of(context, few.splits, task.max_length)
    rows = {split: table.num_rows for split, table in task.splits.items()}
    task_rows = TaskRows(whole, folder, smaller, rows, here, there, seconds_a_row, task.max_length)
    small_dev, dev = task_rows.dev_tokens()
    context.dev_share = dev / small_dev
    return task_rows, cost


def _counts(context: RehearsalContext, typical: dict[str, NDArray[np.int32]], max_length: int) -> dict[str, int]:
    """Return how many rows of each split the rehearsal needs, limited to what this machine computes in time."""

    def most(*names: str) -> int:
        trained = [name for name in names if context.will_run(name)]
        if "teacher" in trained and context.stages["teacher"].config.finetune is None:
            trained.remove("teacher")
        return max([FEW_ROWS, *(small(name, context, typical["train"], max_length).rows for name in trained)])

    train, transfer = most("teacher", "label_only"), most(*(phase.name for phase in context.config.phases))
    dev = affordable(context, float(typical["dev"].mean()), MANY_DEV_ROWS)
    counts = {split: dev for split in typical if split.startswith("dev")}
    if "unlabelled" in typical:
        return {**counts, "train": train, "unlabelled": max(FEW_ROWS, transfer - train)}
    return {**counts, "train": max(train, transfer)}


def inference_tokens(lengths: NDArray[np.int32], rows: float) -> float:
    """Return the tokens, padding included, that a model computes for ``rows`` rows.

    Args:
        lengths: (sample,), lengths in tokens of a sample of the rows.
        rows: number of rows; fewer rows are padded more.
    """
    return batches(lengths, rows, TrainingConfig(max_tokens=INFERENCE_TOKENS), max_length=0).tokens


def affordable(context: RehearsalContext, tokens_a_row: float, most: int) -> int:
    """Return how many rows the teacher computes in about ``SECONDS``, from ``FEW_ROWS`` to ``most``.

    Args:
        context: the teacher's speed.
        tokens_a_row: tokens of a row, on average.
        most: largest number of rows.
    """
    return int(min(most, max(FEW_ROWS, SECONDS / (context.forward_seconds * tokens_a_row))))


def lengths_of(
    context: RehearsalContext, tables: Mapping[str, pa.Table], max_length: int
) -> tuple[dict[str, NDArray[np.int32]], float]:
    """Tokenise some tables.

    Args:
        context: names the teacher, whose tokenizer is used.
        tables: name -> table.
        max_length: longest row, in tokens.

    Returns:
        Name -> lengths of its rows in tokens, (rows,); and seconds to tokenise one row.
    """
    source = context.model("teacher", "pretrained")
    tokenizer = load_tokenizer(source.location, source.revision)
    clock = time.perf_counter()
    lengths = {
        name: write_rows(
            context.store.root / "tokens" / name, [table], tokenizer, max_length=max_length, progress=Silent()
        ).lengths
        for name, table in tables.items()
    }
    return lengths, (time.perf_counter() - clock) / sum(map(len, lengths.values()))
