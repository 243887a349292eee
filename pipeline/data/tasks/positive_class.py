"""Choose the positive class of F1, which the alphabetical order of label names must not decide.

If a task has more than two labels and names no positive class, F1 is averaged over the labels.
"""

from collections.abc import Mapping, Sequence

from pipeline.config.task import TaskConfig
from pipeline.data.tasks.glue import glue_task
from pipeline.errors import ConfigError, DataError

OF_ONE_CLASS = ("f1", "accuracy_and_f1")


def positive_class(
    metric: str, label_names: Sequence[str], values: Mapping[str, str], wanted: str | None
) -> str | None:
    """Return the positive class of F1; None if the metric is another, or F1 is averaged over the labels.

    Args:
        metric: the task's metric.
        label_names: label names of the task; empty for a regression.
        values: value in the file -> label name; empty if the values are the names.
        wanted: ``task.positive_label``, a label name or a value in the file; None if it is not set.

    Raises:
        DataError: there is no such label; or it is not set, and the two labels are not 0 and 1.
    """
    listed = ", ".join(map(repr, label_names))
    if wanted is not None:
        name = wanted if wanted in label_names else values.get(wanted)
        if name not in label_names:
            raise DataError(f"task.positive_label is {wanted!r}, none of the labels {listed}: name one of them")
        return name if metric in OF_ONE_CLASS else None
    if metric not in OF_ONE_CLASS or len(label_names) != 2:
        return None
    one = values.get("1") if values else "1"
    zero = values.get("0") if values else "0"
    if one is not None and set(label_names) == {zero, one}:
        return one
    raise DataError(
        f"task.metric {metric} needs to know which of the labels {listed} is the one to find: "
        f"set task.positive_label, to {label_names[-1]!r} say"
    )


def check_positive_class(task: TaskConfig) -> None:
    """Refuse an F1 without a positive class before any file is read, if the configuration names the labels.

    Raises:
        ConfigError: as for the DataError of ``positive_class``.
    """
    values: dict[str, str] = dict(task.label_names)
    metric: str | None = task.metric
    if task.dir:
        glue = glue_task(task.name)
        values, metric = glue.label_names | values, metric or glue.metric
    elif task.packages:
        values = {name: name for name in task.packages}
    names = tuple(dict.fromkeys(values.values()))
    if len(names) < 2 or metric not in OF_ONE_CLASS:
        return
    try:
        positive_class(metric, names, values, task.positive_label)
    except DataError as error:
        raise ConfigError(str(error)) from None
