"""The score of one constant answer for every row. A teacher that scores no better has learned nothing."""

from dataclasses import dataclass

import numpy as np

from pipeline.data.tasks.table import TaskData
from pipeline.engine.scoring import metric_names, scoring
from pipeline.evaluation.metrics import compute_metrics, main_metric


@dataclass(frozen=True)
class Constant:
    """The constant answer with the highest score on the rows that judge.

    Attributes:
        answer: the answer, as text for a message.
        score: its main metric.
    """

    answer: str
    score: float


def best_constant(task: TaskData) -> Constant:
    """Find the class with the highest score if predicted for every row that judges; 0.0 for a regression.

    For accuracy that is the share of the most frequent label. A constant has no correlation with anything.

    Args:
        task: labels and the metric.
    """
    if task.kind == "regression":
        return Constant("one number", 0.0)
    labels, main = task.splits[task.judging[0]]["label"].to_numpy(), main_metric(task.metric)
    scores = [
        compute_metrics(scoring(task), np.full_like(labels, index), labels)[main]
        for index in range(len(task.label_names))
    ]
    best = int(np.argmax(scores))
    return Constant(repr(task.label_names[best]), scores[best])


def unlearned(task: TaskData, teacher: float, constant: Constant) -> list[str]:
    """Return one warning if the teacher scores no better than a constant answer, else an empty list.

    Args:
        task: names the metric.
        teacher: the teacher's main metric on the same rows.
        constant: the best constant answer.
    """
    if teacher > constant.score:
        return []
    main = main_metric(task.metric)
    metric = metric_names(task).get(main, main.replace("_", " "))
    said = f"it scores {teacher:.3f} {metric}, and whoever answers {constant.answer} to every row {constant.score:.3f}"
    way_out = "train it longer or at another learning rate, or look at the labels"
    return [f"the teacher has learned nothing: {said}; what students keep of it is therefore not shown; {way_out}"]
