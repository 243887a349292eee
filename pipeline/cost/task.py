"""What the task's stages will cost before students learn: the teacher, and its logits."""

from pathlib import Path

from pipeline.cost.arithmetic import StageCost, linear
from pipeline.cost.augmentation import look_at_variants
from pipeline.cost.context import RehearsalContext
from pipeline.cost.task_rows import SMALLER, TaskRows, inference_tokens
from pipeline.cost.training import small, train_cost
from pipeline.data.tokens.table import TokenTable
from pipeline.engine.variant_quality import SAMPLE, SAMPLE_TOKENS
from pipeline.store.artifact import load_artifact


def teacher_cost(context: RehearsalContext, task_rows: TaskRows) -> StageCost:
    """What the teacher will cost: fine-tuning it, or only scoring it."""
    stage = context.stages["teacher"]
    if stage.config.finetune is not None:
        return train_cost(
            "teacher",
            context,
            small("teacher", context, task_rows.there["train"], task_rows.max_length),
            here=task_rows.here["train"],
            there=task_rows.there["train"],
            rows=task_rows.rows["train"],
            max_length=task_rows.max_length,
            more_seconds=task_rows.reading_seconds("train", "dev"),
            task_data=task_rows.folder,
        )
    less, more = (
        context.rehearse("teacher", stage.config, task_data=folder) for folder in (task_rows.smaller, task_rows.folder)
    )
    context.artifacts["teacher"] = more.folder
    return StageCost(
        "teacher",
        context.action("teacher"),
        seconds=dev_seconds(task_rows, less.seconds, more.seconds),
        disk_bytes=more.output_bytes,
        peak_bytes=more.peak_bytes,
        basis=f"{task_rows.rows['dev']:,} dev rows, {len(task_rows.here['dev']):,} timed",
    )


def dev_seconds(task_rows: TaskRows, less: float, more: float) -> float:
    """Seconds of a stage that reads the dev rows, from those of both numbers of them."""
    here = task_rows.here["dev"]
    few = inference_tokens(here, max(1, len(here) // SMALLER))
    tokens, real = task_rows.dev_tokens()
    return linear((less, few), (more, tokens), real)


def logits_cost(context: RehearsalContext, task_rows: TaskRows) -> StageCost:
    """What the teacher's logits will cost; later stages of the rehearsal read those of the shrunk rows."""
    if "augmentation" in context.artifacts and not context.will_run("augmentation"):
        task_rows.variants = load_artifact(context.artifacts["augmentation"]).manifest.metrics["variants"]
        look_at_variants(context, task_rows)
    config = context.stages["teacher_logits"].config
    less, more = (
        context.rehearse("teacher_logits", config, task_data=folder, augmentation=None, mlm=None)
        for folder in (task_rows.smaller, task_rows.folder)
    )
    context.artifacts["teacher_logits"] = more.folder
    tokens = float(task_rows.transfer_there().mean()) * task_rows.transfer_rows
    few, many = ((done.seconds, _computed(done.folder / "tokens")) for done in (less, more))
    return StageCost(
        "teacher_logits",
        context.action("teacher_logits"),
        seconds=linear(few, many, inference_tokens(task_rows.transfer_there(), task_rows.transfer_rows))
        + _sample_seconds(context, task_rows),
        disk_bytes=more.output_bytes * tokens / more.metrics["tokens"],
        peak_bytes=more.peak_bytes,
        basis=f"{tokens:,.0f} word pieces, {more.metrics['tokens']:,} timed",
    )


def _sample_seconds(context: RehearsalContext, task_rows: TaskRows) -> float:
    """Of asking the masked LM how strange some variants look, were it as fast as the teacher."""
    if "mlm" not in context.stages["teacher_logits"].inputs:
        return 0.0
    tokens = 2 * min(SAMPLE, task_rows.variants) * float(task_rows.there["train"].mean()) ** 2
    return min(SAMPLE_TOKENS, tokens) * context.forward_seconds


def _computed(folder: Path) -> float:
    """Tokens that a model computes to read a token table."""
    lengths = TokenTable.open(folder).lengths
    return inference_tokens(lengths, len(lengths))
