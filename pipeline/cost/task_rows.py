"""The rows of a task as a rehearsal needs them: all are read, some drawn, more tokenised to know their lengths."""

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
from pipeline.cost.samples import sample_task
from pipeline.cost.scene import Scene
from pipeline.cost.sizes import MOST_PLANNED, batches, stretched
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
        folder: of the tables made small.
        smaller: of still smaller ones.
        rows: real ones, by split.
        here: lengths in the rehearsal, by split.
        there: lengths of more of the real rows, by split, and of variants.
        seconds_a_row: of tokenising.
        max_length: of a row.
        variants: there will be.
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
        """Seconds that tokenising the real rows takes beyond those of the rehearsal."""
        return sum(self.rows[split] - len(self.here[split]) for split in splits) * self.seconds_a_row

    @property
    def unlabelled(self) -> int:
        """Real rows without a label."""
        return self.rows.get("unlabelled", 0)

    @property
    def transfer_rows(self) -> float:
        """Original, unlabelled and augmented rows."""
        return self.rows["train"] + self.unlabelled + self.variants

    @property
    def transfer_here(self) -> NDArray[np.int32]:
        """Lengths of the transfer set of the rehearsal, which has no variants."""
        return np.concatenate([self.here[split] for split in ("train", "unlabelled") if split in self.here])

    def transfer_there(self, *, augmented: bool = True) -> NDArray[np.int32]:
        """Lengths of the real transfer set, or of fewer rows in the same shares."""
        counts = {"train": self.rows["train"], "unlabelled": self.unlabelled, "variants": augmented * self.variants}
        share = min(1.0, MOST_PLANNED / sum(counts.values()))
        sizes = {name: max(1, round(count * share)) for name, count in counts.items() if count}
        return np.concatenate([stretched(self.there[name], count) for name, count in sizes.items()])

    def dev_tokens(self) -> tuple[float, float]:
        """Computed tokens of a model that reads the dev rows: of the rehearsal, and the real ones."""
        here, there = self.here["dev"], self.there["dev"]
        return inference_tokens(here, len(here)), inference_tokens(there, self.rows["dev"])

    def learned_from(self, phase: PhaseConfig, labels: Labels) -> tuple[NDArray[np.int32], NDArray[np.int32], float]:
        """What a phase learns from: lengths here, lengths there, real rows, the most there can be."""
        if phase.terms.gold_alone and labels != "origin":
            return self.here["train"], self.there["train"], self.rows["train"]
        if phase.augmented:
            return self.transfer_here, self.transfer_there(), self.transfer_rows
        return self.transfer_here, self.transfer_there(augmented=False), self.rows["train"] + self.unlabelled


def task_rows(scene: Scene) -> tuple[TaskRows, StageCost | None]:
    """The task's tables, whole and made small; and what reading them costs, None where they are finished."""
    cost = None
    if scene.wanted("task_data"):
        done = scene.rehearse("task_data", scene.stages["task_data"].config)
        scene.artifacts["task_data"] = done.folder
        cost = StageCost(
            "task_data",
            scene.action("task_data"),
            seconds=done.seconds,
            disk_bytes=done.output_bytes,
            peak_bytes=done.peak_bytes,
            basis="done for real",
        )
    whole = scene.artifacts["task_data"]
    task = load_task(whole)
    if not scene.forward_seconds:
        scene.meet_teacher(load_encoder(scene.model("teacher", "pretrained")))
    typical = sample_task(task, dict.fromkeys(task.splits, TYPICAL_ROWS), scene.config.seed)
    there, seconds_a_row = lengths_of(scene, typical.splits, task.max_length)
    counts = _counts(scene, there, task.max_length)
    few = sample_task(task, counts, scene.config.seed)
    fewer = sample_task(few, {split: max(1, rows // SMALLER) for split, rows in counts.items()}, scene.config.seed)
    folder, smaller = (scene.sealed("task_data", partial(save_task, some)) for some in (few, fewer))
    here, _ = lengths_of(scene, few.splits, task.max_length)
    rows = {split: table.num_rows for split, table in task.splits.items()}
    found = TaskRows(whole, folder, smaller, rows, here, there, seconds_a_row, task.max_length)
    small_dev, dev = found.dev_tokens()
    scene.dev_share = dev / small_dev
    return found, cost


def _counts(scene: Scene, typical: dict[str, NDArray[np.int32]], max_length: int) -> dict[str, int]:
    """Rows of each split that are enough for every rehearsal and not too many for this machine."""

    def most(*names: str) -> int:
        trained = [name for name in names if scene.wanted(name)]
        if "teacher" in trained and scene.stages["teacher"].config.finetune is None:
            trained.remove("teacher")
        return max([FEW_ROWS, *(small(name, scene, typical["train"], max_length).rows for name in trained)])

    train, transfer = most("teacher", "label_only"), most(*(phase.name for phase in scene.config.phases))
    dev = affordable(scene, float(typical["dev"].mean()), MANY_DEV_ROWS)
    counts = {split: dev for split in typical if split.startswith("dev")}
    if "unlabelled" in typical:
        return {**counts, "train": train, "unlabelled": max(FEW_ROWS, transfer - train)}
    return {**counts, "train": max(train, transfer)}


def inference_tokens(lengths: NDArray[np.int32], rows: float) -> float:
    """Computed tokens of a model that reads so many rows of such lengths; fewer rows are padded more."""
    return batches(lengths, rows, TrainingConfig(max_tokens=INFERENCE_TOKENS), max_length=0).tokens


def affordable(scene: Scene, tokens_a_row: float, most: int) -> int:
    """Rows that the teacher reads in about ``SECONDS``, within limits."""
    return int(min(most, max(FEW_ROWS, SECONDS / (scene.forward_seconds * tokens_a_row))))


def lengths_of(
    scene: Scene, tables: Mapping[str, pa.Table], max_length: int
) -> tuple[dict[str, NDArray[np.int32]], float]:
    """Word pieces of each row of some tables, by name, and seconds of tokenising a row."""
    source = scene.model("teacher", "pretrained")
    tokenizer = load_tokenizer(source.location, source.revision)
    clock = time.perf_counter()
    lengths = {
        name: write_rows(
            scene.store.root / "tokens" / name, [table], tokenizer, max_length=max_length, progress=Silent()
        ).lengths
        for name, table in tables.items()
    }
    return lengths, (time.perf_counter() - clock) / sum(map(len, lengths.values()))
