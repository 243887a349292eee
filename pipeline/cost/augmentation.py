"""Share of the stages that augment rows, candidates and variants: each goes on at the pace it had on some rows."""

from functools import partial
from typing import Any

from pipeline.cost.arithmetic import StageCost, seconds_to
from pipeline.cost.context import RehearsalContext
from pipeline.cost.samples import sample_task
from pipeline.data.tasks.table import load_task, save_task
from pipeline.store.stage import Stage

MANY_ROWS = 512


def share(context: RehearsalContext, stage: Stage[Any]) -> StageCost:
    """Rehearse a stage that augments rows, and estimate its cost for all of them."""
    candidates = stage.inputs.get("candidates", stage)
    assert isinstance(candidates, Stage)  # noqa: S101 - variants are drawn from candidates that a stage has found
    config = candidates.config
    splits = [split for split in ("train", "unlabelled")[: 1 + config.unlabelled] if split in context.rows.rows]
    rows = sum(context.rows.rows[split] for split in splits)
    most = max(1, _affordable(context, config) // len(splits))
    some = sample_task(load_task(context.artifacts["task_data"]), dict.fromkeys(splits, most), context.config.seed)
    smaller = {"task_data": context.sealed("task_data", partial(save_task, some))}
    if candidates is not stage:
        smaller["candidates"] = context.shrunk(candidates)
    done = context.rehearse(stage, **smaller)
    timed = done.metrics["rows"]
    context.scale[stage.name] = rows / timed
    size = done.output_bytes * rows / timed
    return context.cost(
        stage,
        done,
        f"{rows:,} rows, {timed:,} timed",
        seconds=seconds_to(done.marks, done.seconds, done.metrics.get("sentences", timed) * rows / timed),
        disk_bytes=size,
        scratch_bytes=size,
    )


def _affordable(context: RehearsalContext, config: Any) -> int:
    """Return how many rows to augment; a masked LM reads a row once for each of its words, or for several at once."""
    if config.mlm is None:
        return MANY_ROWS
    length = float(context.rows.here["train"].mean())
    at_once = length if config.masks_per_forward == "all" else config.masks_per_forward
    reads = 1.0 if config.context == "unmasked" else length / at_once
    return context.affordable(length * reads, MANY_ROWS)
