"""The work of stage ``teacher_logits``: tokenise every row once and compute the teacher's logits, in shards."""

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from transformers import PreTrainedConfig

from pipeline.config.precision import Precision
from pipeline.data.tasks.table import TaskData, load_task
from pipeline.data.tokens.logits import join_logits, read_logits, write_logits
from pipeline.data.tokens.tokenizer import load_tokenizer
from pipeline.engine.inference import predict_logits
from pipeline.engine.refusals import check_one_output, check_same_rows
from pipeline.engine.rows import write_rows
from pipeline.engine.run_training import placed, write_json
from pipeline.engine.teacher_cache.decision import caching_pays
from pipeline.engine.transfer_set import LOGITS, TOKENS, TransferSet
from pipeline.engine.variant_quality import QUALITY, figures, variant_quality
from pipeline.errors import ModelError
from pipeline.models.load import load_finetuned
from pipeline.models.precision import autocast, prepare_teacher
from pipeline.models.source import ModelSource
from pipeline.models.speed.packed import pack
from pipeline.store.stage import StageRun

SHARD_ROWS = 16_384


def run(run: StageRun, *, precision: Precision) -> None:
    """Tokenise the rows and compute the teacher's logits for each.

    Args:
        run: this stage's execution; inputs ``task_data`` and ``teacher``; with variants also ``augmentation`` and
            perhaps ``mlm``.
        precision: precision in which the teacher computes.
    """
    task = load_task(run.artifact("task_data"))
    folder = run.artifact("teacher") / "model"
    tokenizer = load_tokenizer(str(folder))
    tables = _rows(task, run.artifact("augmentation") / "variants.parquet" if run.has("augmentation") else None)
    table = write_rows(run.output / TOKENS, tables, tokenizer, max_length=task.max_length, progress=run.progress)
    model = placed(load_finetuned(ModelSource(str(folder))), run.runtime)
    _check_labels(model.config, task)
    if run.has("augmentation"):
        check_same_rows(run, "augmentation")
    prepare_teacher(model, precision)
    pack(model)
    shards: list[Path] = []
    tokens, seconds = 0, 0.0  # of the teacher; shards of an earlier attempt are not counted
    for begin in range(0, len(table), SHARD_ROWS):
        rows = np.arange(begin, min(begin + SHARD_ROWS, len(table)))
        shard = run.scratch / f"logits-{begin:010d}.arrow"
        if not shard.exists():
            began = time.perf_counter()
            with autocast(precision, model.device):
                logits = predict_logits(model, table, pad_id=tokenizer.pad_token_id, rows=rows)
            seconds += time.perf_counter() - began
            tokens += int(table.lengths[rows].sum())
            write_logits(shard, logits)
        shards.append(shard)
        run.progress.update(int(rows[-1]) + 1, len(table))
    began = time.perf_counter()
    join_logits(shards, run.output / LOGITS)
    written = time.perf_counter()
    read_logits(run.output / LOGITS).sum()
    size = (run.output / LOGITS).stat().st_size
    logits_cost = {
        "bytes": size,
        "teacher_seconds": seconds,
        "teacher_seconds_a_pass": seconds / max(1, tokens) * int(table.lengths.sum()),
        "write_seconds": written - began,
        "read_seconds": time.perf_counter() - written,
    }
    labels = table.column("label")[: task.splits["train"].num_rows]
    transfer = TransferSet.of(table, read_logits(run.output / LOGITS), task)
    run.record(
        rows=len(table),
        original_rows=transfer.originals,
        augmented_rows=len(table) - transfer.originals,
        tokens=int(table.lengths.sum()),
        train_rows=task.splits["train"].num_rows,
        labelled=int(np.isfinite(labels).sum()),
        logits=logits_cost | {"storing_pays": _pays(logits_cost, int(table.lengths.sum()))},
    )
    if run.has("augmentation"):
        quality = variant_quality(run, task, transfer)
        write_json(run.output / QUALITY, quality)
        run.record(quality=figures(quality))


def _check_labels(config: PreTrainedConfig, task: TaskData) -> None:
    """Refuse a teacher of another task, such as one that stands for this run's own.

    Raises:
        ModelError: its labels, or their order, are not the task's; names both.
    """
    names = tuple(name for _, name in sorted((config.id2label or {}).items()))
    if task.kind == "classification" and names != task.label_names:
        raise ModelError(
            f"the teacher's labels are {', '.join(map(str, names))}, those of the task are "
            f"{', '.join(task.label_names)}: use a teacher of this task"
        )
    if task.kind == "regression":
        check_one_output(len(names))


def _rows(task: TaskData, variants: Path | None) -> Iterator[pa.Table]:
    """Yield the training rows, the unlabelled rows and the variants; variants are read in pieces."""
    yield from (task.splits[split] for split in ("train", "unlabelled") if split in task.splits)
    if variants is not None:
        texts = [name for name in ("text", "text_pair") if name in task.splits["train"].column_names]
        with parquet.ParquetFile(variants) as file:
            for batch in file.iter_batches(SHARD_ROWS, columns=["origin_id", *texts]):
                table = pa.Table.from_batches([batch]).select(["origin_id", *texts])
                yield table.rename_columns(["row_id", *texts])


def _pays(cost: Mapping[str, float], tokens: int) -> bool:
    """Return whether reading stored logits takes less time than computing them again, from the second epoch on.

    The answer is recorded only: the logits are stored in any case, because students are trained on them.

    Args:
        cost: measured bytes and seconds of one pass: ``bytes``, ``teacher_seconds_a_pass``, ``write_seconds``,
            ``read_seconds``.
        tokens: number of real tokens of all rows.
    """
    size = cost["bytes"]
    return caching_pays(
        tokens=tokens,
        bytes_per_token=size / max(1, tokens),
        passes=2,
        budget=math.inf,
        free=math.inf,
        teacher_seconds=cost["teacher_seconds_a_pass"] / max(1, tokens),
        write_seconds=cost["write_seconds"] / max(1, size),
        read_seconds=cost["read_seconds"] / max(1, size),
    ).store
