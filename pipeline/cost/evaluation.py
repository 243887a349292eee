"""What the comparison will cost: predictions of the dev rows, the yardstick of word counts, and latencies."""

import time

from pipeline.cost.arithmetic import StageCost
from pipeline.cost.context import RehearsalContext
from pipeline.cost.samples import sample_task
from pipeline.cost.task import dev_seconds
from pipeline.cost.task_rows import TaskRows
from pipeline.data.tasks.table import load_task
from pipeline.engine.comparison import read_latency
from pipeline.evaluation.baseline import tfidf_baseline
from pipeline.evaluation.latency import WARM_UP, rounds_for

COUNTED_ROWS = 2_000
TEXTS = ("text", "text_pair")


def evaluation_cost(context: RehearsalContext, task_rows: TaskRows) -> StageCost:
    """What the evaluation of a run will cost.

    The stage is rehearsed without word counts on two numbers of dev rows; these are timed by themselves, on at most
    ``COUNTED_ROWS`` rows.
    """
    stage = context.stages["evaluation"]
    config = stage.config.model_copy(update={"tfidf": False})
    less, more = (
        context.rehearse("evaluation", config, task_data=folder) for folder in (task_rows.smaller, task_rows.folder)
    )
    context.artifacts["evaluation"] = more.folder
    seconds = dev_seconds(task_rows, less.seconds, more.seconds)
    if stage.config.tfidf:
        seconds += _tfidf_seconds(context, task_rows)
    return StageCost(
        "evaluation",
        context.action("evaluation"),
        seconds=seconds,
        disk_bytes=more.output_bytes,
        peak_bytes=more.peak_bytes,
        basis=f"{task_rows.rows['dev']:,} dev rows, {len(task_rows.here['dev']):,} timed",
    )


def latency_cost(context: RehearsalContext) -> StageCost:
    """What the times of all models will cost, from one round of each length and batch."""
    config = context.stages["latency"].config
    done = context.rehearse("latency", config.model_copy(update={"rounds": (1, 1)}))
    context.artifacts["latency"] = done.folder
    turns: dict[tuple[int, int], float] = {}
    for row in read_latency(done.folder)["latency"]:
        cell = (row["length"], row["batch"])
        turns[cell] = turns.get(cell, 0.0) + row["milliseconds"] / 1000
    more = sum(seconds * (rounds_for(seconds, config.rounds) - 1) for seconds in turns.values())
    return StageCost(
        "latency",
        context.action("latency"),
        seconds=done.seconds + more,
        disk_bytes=done.output_bytes,
        peak_bytes=done.peak_bytes,
        basis=f"{WARM_UP + 1} rounds of each length and batch",
    )


def _tfidf_seconds(context: RehearsalContext, task_rows: TaskRows) -> float:
    """Seconds of the word counts of all training rows, from those of some."""
    task = load_task(task_rows.whole)
    splits = sample_task(task, {"train": COUNTED_ROWS}, context.config.seed).splits
    texts = {
        split: list(zip(*(splits[split][name].to_pylist() for name in TEXTS[: 1 + task.pair]), strict=True))
        for split in ("train", "dev")
    }
    clock = time.perf_counter()
    tfidf_baseline(texts["train"], splits["train"]["label"].to_numpy(), texts["dev"], kind=task.kind)
    return (time.perf_counter() - clock) * task_rows.rows["train"] / splits["train"].num_rows
