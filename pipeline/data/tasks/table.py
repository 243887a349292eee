"""A task is a few tables of labelled rows, and what is needed to score a model on them.

Splits are ``train``, ``dev``, for MNLI ``dev_mismatched``, and ``unlabelled`` when there is any. A row's
``row_id`` is its position in the source it was read from, counted on through the sources (training file, dev
files, unlabelled files): it does not depend on which rows were drawn. Docstrings arrive drawn
already; there it is the position in the draw.

Training and unlabelled rows with nothing to read are dropped and counted. Development rows are never dropped,
only counted: a score over fewer rows than the file has could not be compared with anybody else's.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.task import TaskConfig
from pipeline.data.tasks.doubts import doubts, quoted, repeated_rows
from pipeline.data.tasks.label_doubts import refuse_measurements
from pipeline.data.tasks.parts import Part, draw_parts, label_parts, readable_parts, recombined_part
from pipeline.data.tasks.positive_class import positive_class
from pipeline.data.tasks.readers import Source, read_source
from pipeline.data.tasks.statistics import label_counts
from pipeline.errors import DataError
from pipeline.features import Outcome

READ_ROWS = 2_048  # at a time, of rows that are augmented
_FILE = "task.json"
_FACTS = ("name", "kind", "label_names", "metric", "positive", "pair", "label_range", "max_length", "statistics")


@dataclass(frozen=True)
class TaskData:
    """The tables of a task, by split, and what they mean.

    Columns: ``row_id`` int64, ``text`` string, for pairs ``text_pair`` string, ``label`` int64 (an index into
    ``label_names``) or float64 (regression); null in the unlabelled split. ``positive`` is the label name that
    F1 is of, None where it is averaged over the labels or the metric is another.
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
    def outcome(self) -> Outcome:
        """What a row has: one of several classes, or a value."""
        return "value" if self.kind == "regression" else "classes"


def read_task(config: TaskConfig, seed: int) -> TaskData:
    """The task as the configuration draws it; the same for the same files, configuration and seed.

    Raises:
        DataError: the rows cannot be used as they are; says which, and how to mend them.
        ConfigError: the configuration contradicts the GLUE task it names.
    """
    source = read_source(config, seed)
    found = readable_parts(source)
    parts, label_names = label_parts(found, source.kind, source.label_names, source.label_range)
    if config.kind is None and not source.label_names:
        refuse_measurements(parts.train.rows, label_names)
    if not source.drawn:
        parts = draw_parts(parts, config, seed, label_names)
    if config.recombined:
        parts = replace(parts, unlabelled=(*parts.unlabelled, recombined_part(parts, config.recombined, seed)))
    read = (source.train, *source.dev.values(), *source.unlabelled)
    label_type = pa.int64() if source.kind == "classification" else pa.float64()
    splits = {split: _table(pieces, label_type) for split, pieces in parts.by_split().items()}
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
            "labels": label_counts(splits, label_names),
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
    """One table of the rows of every piece, in their order."""
    columns: dict[str, pa.ChunkedArray] = {
        "row_id": pa.chunked_array([pa.array(part.ids, pa.int64()) for part in pieces]),
        "text": pa.chunked_array([pa.array(part.rows.texts, pa.string()) for part in pieces]),
    }
    if pieces[0].rows.pairs is not None:
        columns["text_pair"] = pa.chunked_array([pa.array(part.rows.pairs, pa.string()) for part in pieces])
    columns["label"] = pa.chunked_array(
        [
            pa.nulls(len(part), label_type) if part.labels is None else pa.array(part.labels, label_type)
            for part in pieces
        ]
    )
    return pa.table(columns).combine_chunks()


def _left_out(source: Source) -> dict[str, dict[str, int]]:
    """Rows of each source's splits with nothing to read, and rows a reader could not make out."""
    read = {"train": (source.train,), "unlabelled": source.unlabelled}
    dev = {split: (rows,) for split, rows in source.dev.items()}
    return {
        "empty_dropped": {split: sum(int(rows.empty().sum()) for rows in many) for split, many in read.items()},
        "empty_kept": {split: int(rows.empty().sum()) for split, (rows,) in dev.items()},
        "ragged_dropped": {split: sum(rows.ragged for rows in many) for split, many in (read | dev).items()},
    }


def save_task(data: TaskData, folder: Path) -> None:
    """Write one Parquet file a split, and ``task.json`` with the rest; the same data gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, table in data.splits.items():
        pq.write_table(table, folder / f"{split}.parquet")
    facts = {name: getattr(data, name) for name in _FACTS} | {"splits": list(data.splits)}
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    (folder / _FILE).write_text(text, encoding="utf-8")


def load_task(folder: Path) -> TaskData:
    """The task that ``save_task`` wrote.

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
    """The rows to augment, a few at a time; a task has some.

    Args:
        folder: that ``save_task`` wrote.
        unlabelled: read the unlabelled rows after the training rows.
    """
    for split in ("train", "unlabelled") if unlabelled else ("train",):
        path = folder / f"{split}.parquet"
        if path.exists():
            file = pq.ParquetFile(path, memory_map=True)
            columns = [name for name in ("row_id", "text", "text_pair") if name in file.schema_arrow.names]
            yield from file.iter_batches(READ_ROWS, columns=columns)
