"""The metric of a task, and the names of its scores for readers."""

from pipeline.data.tasks.table import TaskData
from pipeline.evaluation.scores import Scoring


def scoring(task: TaskData) -> Scoring:
    """Return the metric of a task, with the number of labels and the positive class of its F1."""
    positive = None if task.positive is None else task.label_names.index(task.positive)
    return Scoring(task.metric, len(task.label_names), positive)


def metric_names(task: TaskData) -> dict[str, str]:
    """Return metric -> name for readers, for metrics whose key does not say which class they are about."""
    if task.metric not in ("f1", "accuracy_and_f1"):
        return {}
    one = "mean F1 of the labels" if task.positive is None else f"F1 of {task.positive}"
    named = {"f1": one, "accuracy_and_f1": f"mean of accuracy and {one}"}
    others = task.judging[1:]
    return named | {
        f"{split}_{key}": f"{split.replace('_', ' ')} {name}" for split in others for key, name in named.items()
    }
