"""Stage ``task_data``: the downstream task's files in; tables with ids, texts and labels by name out."""

from pathlib import Path
from typing import Any

from pipeline.config.base import Config
from pipeline.config.run import RunConfig
from pipeline.config.task import TaskConfig
from pipeline.data.hub_folder import hub_folder
from pipeline.errors import ConfigError
from pipeline.store.source import Source
from pipeline.store.stage import Stage, StageRun


class TaskDataStage(Config):
    """What the tables depend on beside the files."""

    task: TaskConfig
    seed: int


def task_data(config: RunConfig) -> Stage[TaskDataStage]:
    """The labelled task of a run."""
    wanted = config.task
    if wanted is None:
        raise ConfigError("there is no task in this configuration: set task.dir, or task.train and task.dev")
    from pipeline.data.positive_class import check_positive_class

    check_positive_class(wanted)
    # Where the files lie is no part of what they say; that they were given at all is.
    local = {"hub": ".", "hub_revision": "main"} if hub_folder(wanted.hub) else {}
    identity = wanted.model_copy(
        update={
            "dir": wanted.dir and ".",
            "train": wanted.train and Path(wanted.train).suffix,
            "dev": wanted.dev and Path(wanted.dev).suffix,
            "unlabelled": tuple(Path(path).suffix for path in wanted.unlabelled),
            **local,
        }
    )
    return Stage("task_data", 2, TaskDataStage(task=identity, seed=config.seed), _inputs(wanted), _run)


def _inputs(task: TaskConfig) -> dict[str, Source]:
    from pipeline.data.task_paths import file_sources

    if task.packages:
        from pipeline.data.docstrings import packages_identity

        return {"files": Source(identity=packages_identity(task.packages))}
    files = file_sources(task)
    if task.hub and not hub_folder(task.hub):
        return {
            "hub": Source(identity=f"datasets:{task.hub}:{task.hub_config}"),
            "files": Source(paths=files),
        }
    return {"files": Source(paths=files)}


def _run(config: TaskDataStage, run: StageRun) -> None:
    from pipeline.data.task_table import read_task, save_task

    data = read_task(_located(config.task, run), config.seed)
    save_task(data, run.output)
    run.record(**data.statistics)
    for warning in data.statistics["warnings"]:
        run.progress.note(f"warning: {warning}")
    for split, dropped in data.statistics.get("empty_dropped", {}).items():
        if dropped:
            run.progress.note(f"{dropped} empty rows of {split} were dropped")


def _located(task: TaskConfig, run: StageRun) -> TaskConfig:
    """The task with the places of its files put back, in the order in which they were listed."""
    files = [str(path) for path in run.paths("files")]
    changes: dict[str, Any] = {}
    if task.unlabelled:
        count = len(task.unlabelled)
        changes["unlabelled"] = tuple(files[-count:])
        files = files[:-count]
    if task.hub and files:
        changes["hub"] = files[0]
    if task.dir:
        changes["dir"] = str(Path(files[0]).parent)
    if task.train:
        changes |= {"train": files[0], "dev": files[1]}
    return task.model_copy(update=changes)
