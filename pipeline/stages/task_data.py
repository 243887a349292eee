"""Stage ``task_data``: the downstream task's files in; tables with ids, texts and labels by name out."""

from functools import partial
from pathlib import Path

from pipeline.checks.checks import Check
from pipeline.checks.known import Known
from pipeline.config.base import Config
from pipeline.config.run import RunConfig
from pipeline.config.task import TaskConfig
from pipeline.data.corpus.docstrings import package_dir, packages_identity
from pipeline.data.tasks.docstring_task import docstring_counts, rows_of_each
from pipeline.data.tasks.glue import glue_task
from pipeline.data.tasks.paths import USUAL_LENGTH, file_sources, hub_folder, require_file
from pipeline.data.tasks.positive_class import check_positive_class
from pipeline.errors import ConfigError
from pipeline.store.entry import entry
from pipeline.store.hub import HubName
from pipeline.store.source import Source
from pipeline.store.stage import Stage


class TaskDataStage(Config):
    """What the tables depend on beside the files."""

    task: TaskConfig
    seed: int


def task_data(config: RunConfig) -> Stage[TaskDataStage]:
    """The labelled task of a run."""
    wanted = config.task
    if wanted is None:
        raise ConfigError("there is no task in this configuration: set task.dir, or task.train and task.dev")
    check_positive_class(wanted)
    # Where the files lie is no part of what they say; that they were given at all is.
    local = {"hub": ".", "hub_revision": "main"} if hub_folder(wanted.hub) else {}
    identity = wanted.model_copy(
        update={
            "dir": wanted.dir and ".",
            "train": wanted.train and Path(wanted.train).suffix,
            "dev": wanted.dev and Path(wanted.dev).suffix,
            "test": wanted.test and Path(wanted.test).suffix,
            "unlabelled": tuple(Path(path).suffix for path in wanted.unlabelled),
            **local,
            **_stated_defaults(wanted),
        }
    )
    return Stage(
        "task_data",
        2,
        TaskDataStage(task=identity, seed=config.seed),
        _inputs(wanted),
        entry("pipeline.engine.task_data"),
    )


def _stated_defaults(task: TaskConfig) -> dict[str, None]:
    """What is stated as it would be anyway, left out: it is the same task."""
    glue = glue_task(task.name) if task.dir else None
    regression = task.kind == "regression"
    usual = {
        "kind": glue.kind if glue else "classification",
        "metric": glue.metric if glue else "pearson_spearman" if regression else "accuracy",
        "max_length": glue.max_length if glue else USUAL_LENGTH,
        "label_range": glue.label_range if glue else None,
    }
    return {key: None for key, value in usual.items() if getattr(task, key) == value}


def checks(config: RunConfig) -> tuple[Check, ...]:
    """What shows before the task is written: its files are there and their rows can be used as they are."""
    task = config.task
    if task is None:
        return ()
    named = [
        ("task.train", task.train),
        ("task.dev", task.dev),
        ("task.test", task.test),
        *(("task.unlabelled", path) for path in task.unlabelled),
    ]
    files = [partial(_check_file, key, path) for key, path in named if path]
    return (*files, _check_packages if task.packages else _check_rows)


def _check_file(key: str, path: str, _known: Known) -> None:
    require_file(key, Path(path).expanduser())


def _check_rows(known: Known) -> None:
    known.read_task()


def _check_packages(known: Known) -> None:
    task = known.config.task
    assert task is not None, "asked of a run with a task"  # noqa: S101
    train_rows, dev_rows, _ = docstring_counts(task)
    for package in rows_of_each(task.packages, train_rows, dev_rows)[0]:
        package_dir(package)


def _inputs(task: TaskConfig) -> dict[str, Source]:
    if task.packages:
        return {"files": Source(identity=packages_identity(task.packages))}
    files = file_sources(task)
    if task.hub and not hub_folder(task.hub):
        return {
            "hub": Source(
                paths=(task.hub, task.hub_revision),
                identity=f"datasets:{task.hub}:{task.hub_config}@{task.hub_revision}",
                hub=HubName("dataset", task.hub, task.hub_revision),
            ),
            "files": Source(paths=files),
        }
    return {"files": Source(paths=files)}
