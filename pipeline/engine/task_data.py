"""The work of stage ``task_data``: read the task's files and write them as tables with labels by name."""

from pathlib import Path
from typing import Any

from pipeline.config.task import TaskConfig
from pipeline.data.tasks.table import read_task, save_task
from pipeline.store.stage import StageRun


def run(run: StageRun, *, task: TaskConfig, seed: int) -> None:
    """Write the task's tables.

    Args:
        run: the stage at work; its input ``files`` are the task's, ``hub`` the data set on a hub if it comes from one.
        task: as the stage knows it, without the places of its files.
        seed: of the rows that are drawn.
    """
    data = read_task(_located(task, run), seed)
    save_task(data, run.output)
    run.record(**data.statistics)
    for warning in data.statistics["warnings"]:
        run.progress.note(f"warning: {warning}")
    for split, dropped in data.statistics.get("empty_dropped", {}).items():
        if dropped:
            run.progress.note(f"{dropped} empty rows of {split} were dropped")


def _located(task: TaskConfig, run: StageRun) -> TaskConfig:
    """Return the task with the paths of its files put back, in the order of the source ``files``."""
    files = [str(path) for path in run.paths("files")]
    changes: dict[str, Any] = {}
    if task.unlabelled:
        count = len(task.unlabelled)
        changes["unlabelled"] = tuple(files[-count:])
        files = files[:-count]
    if task.hub and files:
        changes["hub"] = files[0]
    elif run.has("hub"):
        changes["hub_revision"] = str(run.paths("hub")[1])
    if task.dir:
        changes["dir"] = str(Path(files[0]).parent)
    if task.train:
        changes |= dict(zip(("train", "dev", *(("test",) if task.test else ())), files, strict=True))
    return task.model_copy(update=changes)
