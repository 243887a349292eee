"""What the task's stages will cost before students learn: the teacher, the variants, the teacher's logits."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.stages.cost import StageCost, linear, seconds_to
from pipeline.stages.cost_samples import sample_task
from pipeline.stages.cost_task_rows import SMALLER, TYPICAL_ROWS, TaskRows, affordable, inference_tokens, lengths_of
from pipeline.stages.cost_training import small, train_cost
from pipeline.store.artifact import load_artifact

if TYPE_CHECKING:
    from pipeline.stages.cost_scene import Scene

MANY_VARIED_ROWS = 512


def teacher_cost(scene: "Scene", found: TaskRows) -> StageCost:
    """What the teacher will cost: fine-tuning it, or only scoring it."""
    stage = scene.stages["teacher"]
    if stage.config.finetune is not None:
        return train_cost(
            "teacher",
            scene,
            small("teacher", scene, found.there["train"], found.max_length),
            here=found.here["train"],
            there=found.there["train"],
            rows=found.rows["train"],
            max_length=found.max_length,
            more_seconds=found.reading_seconds("train", "dev"),
            task_data=found.folder,
        )
    less, more = (scene.rehearse("teacher", stage.config, task_data=folder) for folder in (found.smaller, found.folder))
    scene.artifacts["teacher"] = more.folder
    return StageCost(
        "teacher",
        scene.action("teacher"),
        seconds=dev_seconds(found, less.seconds, more.seconds),
        disk_bytes=more.output_bytes,
        peak_bytes=more.peak_bytes,
        basis=f"{found.rows['dev']:,} dev rows, {len(found.here['dev']):,} timed",
    )


def dev_seconds(found: TaskRows, less: float, more: float) -> float:
    """Seconds of a stage that reads the dev rows, from those of both numbers of them."""
    here = found.here["dev"]
    few = inference_tokens(here, max(1, len(here) // SMALLER))
    tokens, real = found.dev_tokens()
    return linear((less, few), (more, tokens), real)


def augmentation_cost(scene: "Scene", found: TaskRows) -> StageCost:
    """What the variants will cost, and how many there will be."""
    from pipeline.data.task_table import load_task, save_task

    wanted = scene.stages["augmentation"].config.augmentation
    splits = [split for split in found.rows if split == "train" or (wanted.unlabelled and split == "unlabelled")]
    # A masked LM reads a row once for each of its words, unless it sees them all at once.
    length = float(found.here["train"].mean())
    reads = 1.0 if wanted.mlm is None or wanted.context == "unmasked" else length
    most = MANY_VARIED_ROWS if wanted.mlm is None else affordable(scene, length * reads, MANY_VARIED_ROWS)
    rows_of_each: dict[str, int] = dict.fromkeys(splits, max(1, most // len(splits)))
    some = sample_task(load_task(found.whole), rows_of_each, scene.config.seed)
    folder = scene.sealed("task_data", partial(save_task, some))
    done = scene.rehearse("augmentation", scene.stages["augmentation"].config, task_data=folder)
    scene.artifacts["augmentation"] = done.folder
    rows = sum(found.rows[split] for split in splits)
    found.variants = done.metrics["variants"] * rows / done.metrics["rows"]
    _look_at_variants(scene, found)
    return StageCost(
        "augmentation",
        scene.action("augmentation"),
        seconds=seconds_to(done.marks, done.seconds, rows),
        disk_bytes=done.output_bytes * rows / done.metrics["rows"],
        peak_bytes=done.peak_bytes,
        basis=f"{rows:,} rows, {done.metrics['rows']:,} timed",
    )


def _look_at_variants(scene: "Scene", found: TaskRows) -> None:
    """Take the lengths of some of the variants that there are: longer rows have more of them."""
    from pyarrow import parquet

    table = parquet.read_table(scene.artifacts["augmentation"] / "variants.parquet")
    some = np.random.default_rng(scene.config.seed).permutation(table.num_rows)[:TYPICAL_ROWS]
    table = table.take(np.sort(some)).rename_columns({"origin_id": "row_id"})
    if table.num_rows:
        lengths, _ = lengths_of(scene, {"variants": table}, found.max_length)
        found.there |= lengths


def logits_cost(scene: "Scene", found: TaskRows) -> StageCost:
    """What the teacher's logits will cost; later stages of the rehearsal read those of the rows made small."""
    if "augmentation" in scene.artifacts and not scene.wanted("augmentation"):
        found.variants = load_artifact(scene.artifacts["augmentation"]).manifest.metrics["variants"]
        _look_at_variants(scene, found)
    config = scene.stages["teacher_logits"].config
    less, more = (
        scene.rehearse("teacher_logits", config, task_data=folder, augmentation=None)
        for folder in (found.smaller, found.folder)
    )
    scene.artifacts["teacher_logits"] = more.folder
    tokens = float(found.transfer_there().mean()) * found.transfer_rows
    few, many = ((done.seconds, _computed(done.folder / "tokens")) for done in (less, more))
    return StageCost(
        "teacher_logits",
        scene.action("teacher_logits"),
        seconds=linear(few, many, inference_tokens(found.transfer_there(), found.transfer_rows)),
        disk_bytes=more.output_bytes * tokens / more.metrics["tokens"],
        peak_bytes=more.peak_bytes,
        basis=f"{tokens:,.0f} word pieces, {more.metrics['tokens']:,} timed",
    )


def _computed(folder: Path) -> float:
    """Tokens that a model computes to read a token table."""
    from pipeline.data.table import TokenTable

    lengths = TokenTable.open(folder).lengths
    return inference_tokens(lengths, len(lengths))
