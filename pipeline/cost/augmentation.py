"""What the augmentation will cost: the candidates of the rows' words, and the variants drawn from them."""

from functools import partial
from pathlib import Path

import numpy as np
from pyarrow import parquet

from pipeline.cost.arithmetic import StageCost, seconds_to
from pipeline.cost.context import RehearsalContext
from pipeline.cost.samples import sample_task
from pipeline.cost.task_rows import TYPICAL_ROWS, TaskRows, affordable, lengths_of
from pipeline.data.tasks.table import load_task, save_task

MANY_VARIED_ROWS = 512


def candidates_cost(context: RehearsalContext, task_rows: TaskRows) -> StageCost:
    """What the candidates will cost; the variants of the rehearsal are drawn from those of its rows."""
    config = context.stages["candidates"].config
    splits, rows = _augmented(context, task_rows)
    # A masked LM reads a row once for each of its words, unless it is asked for several of them at once.
    length = float(task_rows.here["train"].mean())
    at_once = length if config.masks_per_forward == "all" else config.masks_per_forward
    reads = 1.0 if config.mlm is None or config.context == "unmasked" else length / at_once
    most = MANY_VARIED_ROWS if config.mlm is None else affordable(context, length * reads, MANY_VARIED_ROWS)
    task_rows.varied = _some_rows(context, task_rows, dict.fromkeys(splits, max(1, most // len(splits))))
    done = context.rehearse("candidates", config, task_data=task_rows.varied)
    context.artifacts["candidates"] = done.folder
    sentences = done.metrics["sentences"] * rows / done.metrics["rows"]
    return StageCost(
        "candidates",
        context.action("candidates"),
        seconds=seconds_to(done.marks, done.seconds, sentences),
        disk_bytes=done.output_bytes * rows / done.metrics["rows"],
        scratch_bytes=done.output_bytes * rows / done.metrics["rows"],
        peak_bytes=done.peak_bytes,
        basis=f"{rows:,} rows, {done.metrics['rows']:,} timed",
    )


def augmentation_cost(context: RehearsalContext, task_rows: TaskRows) -> StageCost:
    """What the variants will cost, and how many there will be."""
    _, rows = _augmented(context, task_rows)
    done = context.rehearse("augmentation", context.stages["augmentation"].config, task_data=task_rows.varied)
    context.artifacts["augmentation"] = done.folder
    task_rows.variants = done.metrics["variants"] * rows / done.metrics["rows"]
    look_at_variants(context, task_rows)
    return StageCost(
        "augmentation",
        context.action("augmentation"),
        seconds=seconds_to(done.marks, done.seconds, rows),
        disk_bytes=done.output_bytes * rows / done.metrics["rows"],
        scratch_bytes=done.output_bytes * rows / done.metrics["rows"],
        peak_bytes=done.peak_bytes,
        basis=f"{rows:,} rows, {done.metrics['rows']:,} timed",
    )


def look_at_variants(context: RehearsalContext, task_rows: TaskRows) -> None:
    """Take the lengths of some of the variants that there are: longer rows have more of them."""
    table = parquet.read_table(context.artifacts["augmentation"] / "variants.parquet")
    some = np.random.default_rng(context.config.seed).permutation(table.num_rows)[:TYPICAL_ROWS]
    table = table.take(np.sort(some)).rename_columns({"origin_id": "row_id"})
    if table.num_rows:
        lengths, _ = lengths_of(context, {"variants": table}, task_rows.max_length)
        task_rows.there |= lengths


def _augmented(context: RehearsalContext, task_rows: TaskRows) -> tuple[list[str], int]:
    """The splits whose rows are augmented, and how many rows they have."""
    unlabelled = context.stages["augmentation"].config.unlabelled
    splits = [split for split in task_rows.rows if split == "train" or (unlabelled and split == "unlabelled")]
    return splits, sum(task_rows.rows[split] for split in splits)


def _some_rows(context: RehearsalContext, task_rows: TaskRows, rows_of_each: dict[str, int]) -> Path:
    some = sample_task(load_task(task_rows.whole), rows_of_each, context.config.seed)
    return context.sealed("task_data", partial(save_task, some))
