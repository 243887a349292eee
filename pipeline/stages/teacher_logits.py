"""Stage ``teacher_logits``: the transfer set, tokenised once, with the teacher's logits of every row.

The prediction phase never loads the teacher again, whatever the number of epochs, students or sweeps.
Logits are computed shard by shard; a killed run goes on with the first shard that is not there.
"""

from pathlib import Path
from typing import Any

from pipeline.config.base import Config
from pipeline.config.run import RunConfig
from pipeline.stages.engine import placed
from pipeline.store.stage import Stage, StageRun

SHARD_ROWS = 16_384


class TeacherLogitsStage(Config):
    """Nothing beside its inputs decides the teacher's logits, but the released code's habits."""

    relu_logits: bool


def teacher_logits(
    config: RunConfig, task_data: Stage[Any], teacher: Stage[Any], augmentation: Stage[Any] | None
) -> Stage[TeacherLogitsStage]:
    """The teacher's logits of original, unlabelled and augmented rows."""
    inputs: dict[str, Any] = {"task_data": task_data, "teacher": teacher}
    if augmentation is not None:
        inputs["augmentation"] = augmentation
    return Stage("teacher_logits", 1, TeacherLogitsStage(relu_logits=config.relu_logits), inputs, _run)


def _run(config: TeacherLogitsStage, run: StageRun) -> None:
    import numpy as np
    from pyarrow import parquet

    from pipeline.data.logits import join_logits, write_logits
    from pipeline.data.task_table import load_task
    from pipeline.data.tokenizer import load_tokenizer
    from pipeline.models.load import ModelSource, load_finetuned
    from pipeline.models.released import relu_before_classifier
    from pipeline.stages.inference import predict_logits
    from pipeline.stages.rows import write_rows

    task = load_task(run.artifact("task_data"))
    folder = run.artifact("teacher") / "model"
    tokenizer = load_tokenizer(str(folder))
    tables = [task.splits[split] for split in ("train", "unlabelled") if split in task.splits]
    originals = sum(table.num_rows for table in tables)
    if run.has("augmentation"):
        variants = parquet.read_table(run.artifact("augmentation") / "variants.parquet", memory_map=True)
        texts = [name for name in ("text", "text_pair") if name in variants.column_names]
        tables.append(variants.rename_columns({"origin_id": "row_id"}).select(["row_id", *texts]))
    table = write_rows(run.output / "tokens", tables, tokenizer, max_length=task.max_length, progress=run.progress)
    model = placed(load_finetuned(ModelSource(str(folder))), run.runtime)
    if config.relu_logits:
        relu_before_classifier(model)
    shards: list[Path] = []
    for begin in range(0, len(table), SHARD_ROWS):
        rows = np.arange(begin, min(begin + SHARD_ROWS, len(table)))
        shard = run.scratch / f"logits-{begin:010d}.arrow"
        if not shard.exists():
            write_logits(shard, predict_logits(model, table, pad_id=tokenizer.pad_token_id, rows=rows))
        shards.append(shard)
        run.progress.update(int(rows[-1]) + 1, len(table))
    join_logits(shards, run.output / "logits.arrow")
    labels = table.column("label")[: task.splits["train"].num_rows]
    run.record(
        rows=len(table),
        original_rows=originals,
        augmented_rows=len(table) - originals,
        tokens=int(table.lengths.sum()),
        train_rows=task.splits["train"].num_rows,
        labelled=int(np.isfinite(labels).sum()),
    )
