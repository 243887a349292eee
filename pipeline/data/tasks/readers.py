"""Read a task's rows from the GLUE layout, named files, a datasets-hub name, or docstrings.

Each reader returns a ``Source``: the raw rows of every split, with the labels, metric and length of the source.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.config.task import TaskConfig
from pipeline.data.tasks.docstring_task import DocstringRow, docstring_counts, docstring_rows
from pipeline.data.tasks.files import read_rows, read_tsv, require_file_columns
from pipeline.data.tasks.glue import GlueTask, glue_files, glue_task
from pipeline.data.tasks.paths import USUAL_LENGTH
from pipeline.data.tasks.rows import Columns, Rows
from pipeline.errors import ConfigError


@dataclass(frozen=True)
class Source:
    """The rows of a task as they were read; ``drawn`` if the sample was already drawn.

    ``dev`` holds every split that models are scored on, by name: ``dev``, ``dev_mismatched``, ``test``.
    """

    name: str
    kind: Literal["classification", "regression"]
    train: Rows
    dev: dict[str, Rows]
    unlabelled: tuple[Rows, ...]
    label_names: Mapping[str, str] = field(default_factory=dict)
    metric: str = "accuracy"
    label_range: tuple[float, float] | None = None
    max_length: int = USUAL_LENGTH
    drawn: bool = False


def read_source(config: TaskConfig, seed: int) -> Source:
    """Read all rows of a task from its source, and its extra unlabelled text.

    Raises:
        DataError: a file or column is missing or damaged.
        ConfigError: the configuration contradicts the GLUE task it names.
    """
    if config.dir:
        return _glue(config, Path(config.dir).expanduser(), glue_task(config.name))
    if config.packages:
        return _docstrings(config, seed)
    columns = Columns(config.text, config.text_pair, config.label)
    names: Mapping[str, str] = config.label_names
    if config.hub:
        from pipeline.data.tasks.hub import read_hub  # it loads the library datasets, and that torch

        (train, class_names), (dev, _), *test = (read_hub(config, split, columns) for split in config.hub_splits)
        judging = {"test": test[0][0]} if test else {}
        names = names or {name: name for name in class_names}
    else:
        assert config.train is not None, "the configuration has exactly one source"  # noqa: S101
        assert config.dev is not None, "the configuration has both files"  # noqa: S101
        train = read_rows(Path(config.train).expanduser(), columns)
        dev = read_rows(Path(config.dev).expanduser(), columns)
        judging = {"test": read_rows(Path(config.test).expanduser(), columns)} if config.test else {}
    kind = config.kind or "classification"
    return Source(
        name=config.name,
        kind=kind,
        train=train,
        dev={"dev": dev} | judging,
        unlabelled=_extra(config, columns),
        label_names=names,
        metric=config.metric or ("accuracy" if kind == "classification" else "pearson_spearman"),
        label_range=config.label_range,
        max_length=config.max_length or USUAL_LENGTH,
    )


def check_columns(config: TaskConfig) -> None:
    """Check the columns of files that are too large to be read twice.

    Raises:
        DataError: a column does not exist, or a file is not in the format of its ending.
    """
    if config.dir or not config.train or not config.dev:
        return
    columns = Columns(config.text, config.text_pair, config.label)
    for path in (config.train, config.dev, *([config.test] if config.test else [])):
        require_file_columns(Path(path).expanduser(), columns)


def _extra(config: TaskConfig, columns: Columns) -> tuple[Rows, ...]:
    texts = Columns(columns.text, columns.text_pair, None)
    return tuple(read_rows(Path(path).expanduser(), texts) for path in config.unlabelled)


def _glue(config: TaskConfig, folder: Path, task: GlueTask) -> Source:
    metric = config.metric or task.metric
    if (config.kind or task.kind) != task.kind or (metric == "pearson_spearman") != (task.kind == "regression"):
        raise ConfigError(
            f"task.kind {config.kind!r} and task.metric {config.metric!r} do not fit GLUE's {task.name} "
            f"({task.kind}, {task.metric}): leave them empty"
        )
    columns = Columns(task.text, task.text_pair, task.label)
    splits = {
        split: read_tsv(path, columns, header=task.header, skip_ragged=task.skip_ragged)
        for split, path in glue_files(folder, task).items()
    }
    return Source(
        name=task.name,
        kind=task.kind,
        train=splits.pop("train"),
        dev=splits,
        unlabelled=_extra(config, columns),
        label_names=task.label_names | config.label_names,
        metric=metric,
        label_range=config.label_range or task.label_range,
        max_length=config.max_length or task.max_length,
    )


def _docstrings(config: TaskConfig, seed: int) -> Source:
    task = docstring_rows(config.packages, seed, *docstring_counts(config))
    drawn = (_docstring_split(task.unlabelled, "unlabelled"),) if task.unlabelled else ()
    return Source(
        name=config.name,
        kind="classification",
        train=_docstring_split(task.train, "train"),
        dev={"dev": _docstring_split(task.dev, "dev")},
        unlabelled=drawn + _extra(config, Columns(config.text, None, None)),
        label_names={name: name for name in task.label_names},
        metric=config.metric or "accuracy",
        max_length=config.max_length or USUAL_LENGTH,
        drawn=True,
    )


def _docstring_split(rows: Sequence[DocstringRow], split: str) -> Rows:
    return Rows(
        source=f"docstrings ({split})",
        texts=[row.text for row in rows],
        pairs=None,
        labels=[row.label for row in rows],
        numbers=range(1, len(rows) + 1),
        by_line=False,
    )
