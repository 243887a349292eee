"""A task: tables of labelled rows, and what is needed to score a model on them.

Splits are ``train``, ``dev``, for MNLI ``dev_mismatched``, and perhaps ``unlabelled`` and ``test``. Checkpoints are
chosen on ``dev``; models are judged on ``test`` where there is one, else on ``dev`` too. A row's ``row_id`` is its
position in its source, counted through all sources (training file, dev files, unlabelled files), so it does not
depend on which rows were drawn. For docstrings, which are drawn before, it is the position in the draw.

Training and unlabelled rows with an empty text are dropped and counted. Development rows are only counted: a score
over fewer rows than the file has could not be compared with published scores.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.config.task import TaskConfig
from pipeline.data.tasks.doubts import doubts, quoted, refuse_measurements, refuse_overlap, repeated_rows
from pipeline.data.tasks.parts import (
    Part,
    draw_parts,
    label_parts,
    readable_parts,
    recombined_part,
    spare_validation,
)
from pipeline.data.tasks.positive_class import positive_class
from pipeline.data.tasks.readers import Source, read_source
from pipeline.errors import DataError
from pipeline.features import Outcome

READ_ROWS = 2_048  # at a time, of rows that are augmented
_FILE = "task.json"
_FACTS = ("name", "kind", "label_names", "metric", "positive", "pair", "label_range", "max_length", "statistics")


@dataclass(frozen=True)
class TaskData:
    """The tables of a task, by split, and their meaning.

    Columns: ``row_id`` int64, ``text`` string, for pairs ``text_pair`` string, ``label`` int64 (an index into
    ``label_names``) or float64 (regression); null in the unlabelled split. ``positive`` is the name of the positive
    class of F1; None if F1 is averaged over the labels or the metric is another.
    """

    name: str
    kind: Literal["classification", "regression"]
    label_names: tuple[str, ...]
    metric: str
    pair: bool
    label_range: tuple[float, float] | None
    max_length: int
    splits: dict[str, pa.Table]
    statistics: dict[str, Any]
    positive: str | None = None

    @property
    def judging(self) -> tuple[str, ...]:
        """The splits that models are judged on, the one whose score counts first."""
        first = "test" if "test" in self.splits else "dev"
        return (first, *(split for split in self.splits if split.startswith(f"{first}_")))

    @property
    def outcome(self) -> Outcome:
        """The kind of a label: "classes" or "value"."""
        return "value" if self.kind == "regression" else "classes"


def read_task(config: TaskConfig, seed: int) -> TaskData:
    """Read a task's files and draw its rows; the same files, configuration and seed give the same task.

    Args:
        config: where the rows are, and how many are drawn.
        seed: seed of the draw.

    Raises:
        DataError: some rows cannot be used; names them, and says how to mend them.
        ConfigError: the configuration contradicts the GLUE task it names.
    """
    source = read_source(config, seed)
    parts, label_names = label_parts(readable_parts(source), source.kind, source.label_names, source.label_range)
    if config.kind is None and not source.label_names:
        refuse_measurements(parts.train.rows, label_names)
    if not source.drawn:
        parts = draw_parts(parts, config, seed, label_names)
    if config.validation_share is not None:
        parts = spare_validation(parts, config.validation_share, seed, label_names)
    if config.recombined:
        parts = replace(parts, unlabelled=(*parts.unlabelled, recombined_part(parts, config.recombined, seed)))
    read = (source.train, *source.dev.values(), *source.unlabelled)
    label_type = pa.int64() if source.kind == "classification" else pa.float64()
    splits = {split: _table(pieces, label_type) for split, pieces in parts.by_split().items()}
    refuse_overlap(splits)
    return TaskData(
        name=source.name,
        kind=source.kind,
        label_names=label_names,
        metric=source.metric,
        pair=source.train.pairs is not None,
        label_range=source.label_range,
        max_length=source.max_length,
        splits=splits,
        statistics={
            "rows": {split: table.num_rows for split, table in splits.items()},
            "labels": _label_counts(splits, label_names),
            **_left_out(source),
            "repeated": repeated_rows(splits),
            "warnings": [
                *doubts(splits, label_names),
                *quoted([] if config.dir else read),
                *(rows.remark for rows in read if rows.remark),
            ],
        },
        positive=positive_class(source.metric, label_names, source.label_names, config.positive_label),
    )


def _table(pieces: Sequence[Part], label_type: pa.DataType) -> pa.Table:
    """Join the rows of all pieces into one table, in order."""
    tables = []
    for part in pieces:
        columns = {"row_id": pa.array(part.ids, pa.int64()), "text": pa.array(part.rows.texts, pa.string())}
        if part.rows.pairs is not None:
            columns["text_pair"] = pa.array(part.rows.pairs, pa.string())
        unlabelled = part.labels is None
        columns["label"] = pa.nulls(len(part), label_type) if unlabelled else pa.array(part.labels, label_type)
        tables.append(pa.table(columns))
    return pa.concat_tables(tables).combine_chunks()


def _label_counts(splits: dict[str, pa.Table], label_names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return rows per label name of each labelled split; for regression the smallest, mean and largest label."""
    counts: dict[str, dict[str, Any]] = {}
    for split, table in splits.items():
        labels = table.column("label")
        if labels.null_count == len(labels):
            continue
        if label_names:
            values = labels.to_numpy()
            counts[split] = {name: int((values == index).sum()) for index, name in enumerate(label_names)}
        else:
            low, high = pc.min_max(labels).as_py().values()
            counts[split] = {"min": low, "mean": pc.mean(labels).as_py(), "max": high}
    return counts


def _left_out(source: Source) -> dict[str, dict[str, int]]:
    """Count the empty rows of a source by split, and the rows that its reader could not parse."""
    read = {"train": (source.train,), "unlabelled": source.unlabelled}
    dev = {split: (rows,) for split, rows in source.dev.items()}
    return {
        "empty_dropped": {split: sum(int(rows.empty().sum()) for rows in many) for split, many in read.items()},
        "empty_kept": {split: int(rows.empty().sum()) for split, (rows,) in dev.items()},
        "ragged_dropped": {split: sum(rows.ragged for rows in many) for split, many in (read | dev).items()},
    }


def save_task(data: TaskData, folder: Path) -> None:
    """Write one Parquet file a split, and ``task.json`` with everything else; equal data give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, table in data.splits.items():
        pq.write_table(table, folder / f"{split}.parquet")
    facts = {name: getattr(data, name) for name in _FACTS} | {"splits": list(data.splits)}
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    (folder / _FILE).write_text(text, encoding="utf-8")


def load_task(folder: Path) -> TaskData:
    """Read a task that ``save_task`` wrote.

    Args:
        folder: folder of the task.

    Raises:
        DataError: the folder holds no task, or a part of it is missing or damaged.
    """
    try:
        facts = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        names = facts.pop("splits")
        splits = {name: pq.ParquetFile(folder / f"{name}.parquet").read() for name in names}
        facts["label_names"] = tuple(facts["label_names"])
        facts["label_range"] = None if facts["label_range"] is None else tuple(facts["label_range"])
        return TaskData(**facts, splits=splits)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} holds no readable task ({error!s:.120}): make it again") from error


def task_rows(folder: Path, *, unlabelled: bool) -> Iterator[pa.RecordBatch]:
    """Yield the rows to augment in record batches, at least one.

    Args:
        folder: folder written by ``save_task``.
        unlabelled: yield the unlabelled rows after the training rows.
    """
    for split in ("train", "unlabelled") if unlabelled else ("train",):
        path = folder / f"{split}.parquet"
        if path.exists():
            file = pq.ParquetFile(path, memory_map=True)
            columns = [name for name in ("row_id", "text", "text_pair") if name in file.schema_arrow.names]
            yield from file.iter_batches(READ_ROWS, columns=columns)
