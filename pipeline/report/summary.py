"""The sentence a reader takes away, computed from the figures so that it cannot flatter them."""

from collections.abc import Sequence

from pipeline.report.content import ResultRow
from pipeline.report.formats import percent, times, words


def summarise(results: Sequence[ResultRow], main_metric: str) -> str:
    """What the best student keeps of its teacher, at what size and speed, and whether distilling it paid.

    The best is the student with the highest main metric. Its lead over the label-only student is only
    called a lead when the confidence interval of the difference excludes zero.
    """
    students = [row for row in results if row.role == "student" and main_metric in row.metrics]
    if not students:
        return "No student was evaluated."
    student = max(students, key=lambda row: row.metrics[main_metric])
    teacher = next((row for row in results if row.role == "teacher"), None)
    metric = words(main_metric)
    if student.retention is None:
        sentence = f"{_named(student)} scores {student.metrics[main_metric]:.3f} {metric}"
    else:
        sentence = f"{_named(student)} keeps {percent(student.retention)} of its teacher's {metric}"
    bargain = [part for part in (relative_size(student, teacher), relative_speed(student)) if part]
    if bargain:
        sentence += " at " + " and ".join(bargain)
    if student.speed and not student.latency_reliable:
        sentence += " (its speed was not measured reliably)"
    return sentence + _lead(student) + "."


def size_ratio(row: ResultRow, teacher: ResultRow | None) -> float | None:
    """Parameters as a share of the teacher's."""
    if teacher is None or not row.parameters or not teacher.parameters:
        return None
    return row.parameters / teacher.parameters


def speed_ratio(row: ResultRow) -> float | None:
    """How many times faster than the teacher one batch is; None where it was not measured reliably."""
    return row.speed[0] if row.speed and row.latency_reliable else None


def relative_size(row: ResultRow, teacher: ResultRow | None) -> str | None:
    """The size ratio in words."""
    ratio = size_ratio(row, teacher)
    return None if ratio is None else f"{ratio:.0%} of its size"


def relative_speed(row: ResultRow) -> str | None:
    """The speed ratio in words."""
    ratio = speed_ratio(row)
    return None if ratio is None else f"{times(ratio)} its speed"


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
