"""Share of a stage in which models read rows: it is rehearsed on two sizes of the shrunk tables of the task."""

import time
from typing import Any

from pipeline.cost.arithmetic import StageCost, linear
from pipeline.cost.context import RehearsalContext
from pipeline.cost.rehearsal import Rehearsed
from pipeline.cost.samples import sample_task
from pipeline.cost.task_rows import inference_tokens
from pipeline.data.tasks.table import load_task
from pipeline.data.tokens.table import TokenTable
from pipeline.engine.transfer_set import TOKENS
from pipeline.engine.variant_quality import SAMPLE, SAMPLE_TOKENS
from pipeline.evaluation.baseline import tfidf_baseline
from pipeline.store.stage import Stage

COUNTED_ROWS = 2_000
TEXTS = ("text", "text_pair")


def share(context: RehearsalContext, stage: Stage[Any]) -> StageCost:
    """Rehearse a stage twice without variants, and estimate its cost by the line through both.

    A stage that keeps the tokens it has read reads the transfer set, another one the dev rows. Word counts, which
    depend on the training rows, are timed by themselves.
    """
    rows, counts = context.rows, getattr(stage.config, "tfidf", False)
    config = stage.config.model_copy(update={"tfidf": False}) if counts else stage.config
    less, more = (
        context.rehearse(stage, config, task_data=folder, augmentation=None, mlm=None)
        for folder in (rows.smaller, rows.folder)
    )
    if (more.folder / TOKENS).exists():
        return _transfer_set(context, stage, less, more)
    split = "test" if counts and "test" in rows.rows else "dev"  # an evaluation judges, a teacher is only chosen
    few, many, real = rows.tokens_of(split)
    seconds = linear((less.seconds, few), (more.seconds, many), real)
    basis = f"{rows.rows[split]:,} {split} rows, {len(rows.here[split]):,} timed"
    return context.cost(stage, more, basis, seconds=seconds + (_tfidf_seconds(context) if counts else 0.0))


def _transfer_set(context: RehearsalContext, stage: Stage[Any], less: Rehearsed, more: Rehearsed) -> StageCost:
    """Return the cost of a stage that reads all training rows, unlabelled rows and variants."""
    _, there, rows = context.rows.transfer(context.variants)
    lengths = [TokenTable.open(done.folder / TOKENS).lengths for done in (less, more)]
    few, many = (inference_tokens(some, len(some)) for some in lengths)
    seconds = linear((less.seconds, few), (more.seconds, many), inference_tokens(there, rows))
    if "mlm" in stage.inputs:  # it is asked how strange some variants look, and may be as fast as the teacher
        asked = 2 * min(SAMPLE, context.variants[1]) * float(context.rows.there["train"].mean()) ** 2
        seconds += min(SAMPLE_TOKENS, asked) * context.teacher.token_seconds
    tokens, timed = float(there.mean()) * rows, more.metrics["tokens"]
    basis = f"{tokens:,.0f} word pieces, {timed:,} timed"
    return context.cost(stage, more, basis, seconds=seconds, disk_bytes=more.output_bytes * tokens / timed)


def _tfidf_seconds(context: RehearsalContext) -> float:
    """Return the seconds of the word counts of all training rows, from those of at most ``COUNTED_ROWS``."""
    task = load_task(context.artifacts["task_data"])
    splits, judging = sample_task(task, {"train": COUNTED_ROWS}, context.config.seed).splits, task.judging[0]
    texts = {
        split: list(zip(*(splits[split][name].to_pylist() for name in TEXTS[: 1 + task.pair]), strict=True))
        for split in ("train", judging)
    }
    clock = time.perf_counter()
    tfidf_baseline(texts["train"], splits["train"]["label"].to_numpy(), texts[judging], kind=task.kind)
    return (time.perf_counter() - clock) * context.rows.rows["train"] / splits["train"].num_rows
