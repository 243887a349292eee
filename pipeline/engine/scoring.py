"""How a task scores a model, and what its scores are called where a person reads them."""

from pipeline.data.tasks.table import TaskData
from pipeline.evaluation.scores import Scoring


def scoring(task: TaskData) -> Scoring:
    """The metric of a task, with the labels and the class that its F1 speaks of."""
    positive = None if task.positive is None else task.label_names.index(task.positive)
    return Scoring(task.metric, len(task.label_names), positive)


def metric_names(task: TaskData) -> dict[str, str]:
    """What the scores whose key does not say it all are called; the others are called by their keys."""
    if task.metric not in ("f1", "accuracy_and_f1"):
        return {}
    one = "mean F1 of the labels" if task.positive is None else f"F1 of {task.positive}"
    named = {"f1": one, "accuracy_and_f1": f"mean of accuracy and {one}"}
    others = [split for split in task.splits if split.startswith("dev_")]
    return named | {
        f"{split}_{key}": f"{split.replace('_', ' ')} {said}" for split in others for key, said in named.items()
    }
