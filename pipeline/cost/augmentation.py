"""What the augmentation will cost: the candidates of the rows' words, and the variants drawn from them."""

from functools import partial
from pathlib import Path

import numpy as np
from pyarrow import parquet

from pipeline.cost.arithmetic import StageCost, seconds_to
from pipeline.cost.samples import sample_task
from pipeline.cost.scene import Scene
from pipeline.cost.task_rows import TYPICAL_ROWS, TaskRows, affordable, lengths_of
from pipeline.data.tasks.table import load_task, save_task

MANY_VARIED_ROWS = 512


def candidates_cost(scene: Scene, found: TaskRows) -> StageCost:
    """What the candidates will cost; the variants of the rehearsal are drawn from those of its rows."""
    config = scene.stages["candidates"].config
    splits, rows = _augmented(scene, found)
    # A masked LM reads a row once for each of its words, unless it is asked for several of them at once.
    length = float(found.here["train"].mean())
    at_once = length if config.masks_per_forward == "all" else config.masks_per_forward
    reads = 1.0 if config.mlm is None or config.context == "unmasked" else length / at_once
    most = MANY_VARIED_ROWS if config.mlm is None else affordable(scene, length * reads, MANY_VARIED_ROWS)
    found.varied = _some_rows(scene, found, dict.fromkeys(splits, max(1, most // len(splits))))
    done = scene.rehearse("candidates", config, task_data=found.varied)
    scene.artifacts["candidates"] = done.folder
    sentences = done.metrics["sentences"] * rows / done.metrics["rows"]
    return StageCost(
        "candidates",
        scene.action("candidates"),
        seconds=seconds_to(done.marks, done.seconds, sentences),
        disk_bytes=done.output_bytes * rows / done.metrics["rows"],
        scratch_bytes=done.output_bytes * rows / done.metrics["rows"],
        peak_bytes=done.peak_bytes,
        basis=f"{rows:,} rows, {done.metrics['rows']:,} timed",
    )


def augmentation_cost(scene: Scene, found: TaskRows) -> StageCost:
    """What the variants will cost, and how many there will be."""
    _, rows = _augmented(scene, found)
    done = scene.rehearse("augmentation", scene.stages["augmentation"].config, task_data=found.varied)
    scene.artifacts["augmentation"] = done.folder
    found.variants = done.metrics["variants"] * rows / done.metrics["rows"]
    look_at_variants(scene, found)
    return StageCost(
        "augmentation",
        scene.action("augmentation"),
        seconds=seconds_to(done.marks, done.seconds, rows),
        disk_bytes=done.output_bytes * rows / done.metrics["rows"],
        scratch_bytes=done.output_bytes * rows / done.metrics["rows"],
        peak_bytes=done.peak_bytes,
        basis=f"{rows:,} rows, {done.metrics['rows']:,} timed",
    )


def look_at_variants(scene: Scene, found: TaskRows) -> None:
    """Take the lengths of some of the variants that there are: longer rows have more of them."""
    table = parquet.read_table(scene.artifacts["augmentation"] / "variants.parquet")
    some = np.random.default_rng(scene.config.seed).permutation(table.num_rows)[:TYPICAL_ROWS]
    table = table.take(np.sort(some)).rename_columns({"origin_id": "row_id"})
    if table.num_rows:
        lengths, _ = lengths_of(scene, {"variants": table}, found.max_length)
        found.there |= lengths


def _augmented(scene: Scene, found: TaskRows) -> tuple[list[str], int]:
    """The splits whose rows are augmented, and how many rows they have."""
    unlabelled = scene.stages["augmentation"].config.unlabelled
    splits = [split for split in found.rows if split == "train" or (unlabelled and split == "unlabelled")]
    return splits, sum(found.rows[split] for split in splits)


def _some_rows(scene: Scene, found: TaskRows, rows_of_each: dict[str, int]) -> Path:
    some = sample_task(load_task(found.whole), rows_of_each, scene.config.seed)
    return scene.sealed("task_data", partial(save_task, some))
