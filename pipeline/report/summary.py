"""The sentences of a report, computed from its figures: a summary of the results, and warnings from the loss curves."""

from collections.abc import Mapping, Sequence
from math import log

from pipeline.report.content import ResultRow
from pipeline.report.formats import percent, times, words

LABELS = "labels"  # the term that is a cross-entropy with the true classes
NOTHING = 0.97  # of the loss of guessing: what chance may take off it in a few steps
FEWEST_POINTS = 4


def summarise(results: Sequence[ResultRow], main_metric: str) -> str:
    """Say what the best student keeps of its teacher, at what size and speed, and how it compares to label-only.

    It is only called better or worse than the label-only student if the confidence interval of the difference
    excludes zero.
    """
    student = best_student(results, main_metric)
    if student is None:
        return "No student was evaluated."
    teacher = next((row for row in results if row.role == "teacher"), None)
    metric = words(main_metric)
    if student.retention is None:
        sentence = f"{_named(student)} scores {student.metrics[main_metric]:.3f} {metric}"
    else:
        sentence = f"{_named(student)} keeps {percent(student.retention)} of its teacher's {metric}"
    size, speed = size_ratio(student, teacher), speed_ratio(student)
    costs = [f"{size:.0%} of its size"] if size is not None else []
    costs += [f"{times(speed)} its speed"] if speed is not None else []
    if costs:
        sentence += " at " + " and ".join(costs)
    if student.speed and not student.latency_reliable:
        sentence += " (its speed was not measured reliably)"
    return sentence + _lead(student) + "."


def best_student(results: Sequence[ResultRow], main_metric: str) -> ResultRow | None:
    """Return the student with the highest main metric; None if none has it."""
    students = [row for row in results if row.role == "student" and main_metric in row.metrics]
    return max(students, key=lambda row: row.metrics[main_metric], default=None)


def size_ratio(row: ResultRow, teacher: ResultRow | None) -> float | None:
    """Return the parameters as a share of the teacher's."""
    if teacher is None or not row.parameters or not teacher.parameters:
        return None
    return row.parameters / teacher.parameters


def speed_ratio(row: ResultRow) -> float | None:
    """Return how many times faster than the teacher a model is; None if that was not measured reliably."""
    return row.speed[0] if row.speed and row.latency_reliable else None


def _named(row: ResultRow) -> str:
    return f"The {row.name}" if "student" in row.name.lower() else f"The student {row.name}"


def _lead(student: ResultRow) -> str:
    if student.difference is None:
        return ""
    difference, low, high = (100 * value for value in student.difference)
    labels = "the same student trained on labels alone"
    if low > 0:
        return f", {difference:.1f} points above {labels} (interval {low:.1f} to {high:.1f})"
    if high < 0:
        return f", but {-difference:.1f} points below {labels} (interval {-high:.1f} to {-low:.1f})"
    return f", but cannot be told from {labels} (difference {difference:+.1f} points, {low:+.1f} to {high:+.1f})"


def diagnose(curves: Mapping[str, Sequence[Mapping[str, float]]], classes: int) -> list[str]:
    """Return a sentence for each training on labels whose loss stays at that of guessing.

    Args:
        curves: title of a training -> its logged points.
        classes: number of classes; with fewer than two there are no sentences.
    """
    if classes < 2:
        return []
    guessing = log(classes)
    return [
        f"{title} has learned nothing: its loss ended at {end:.3f}, where giving every class the same probability "
        f"costs ln {classes} = {guessing:.3f}. Try more steps or a higher learning rate."
        for title, end in ((title, _final_loss(points)) for title, points in curves.items())
        if end is not None and end >= NOTHING * guessing
    ]


def _final_loss(points: Sequence[Mapping[str, float]]) -> float | None:
    """Return the mean of the last quarter of a loss on labels; None if it is missing or too short."""
    values = [point[LABELS] for point in points if LABELS in point]
    if len(values) < FEWEST_POINTS:
        return None
    last = values[-(len(values) // 4) :]
    return sum(last) / len(last)
