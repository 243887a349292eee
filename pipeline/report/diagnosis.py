"""What a loss curve says by itself: a training on labels whose loss stays at that of guessing has learned nothing."""

from collections.abc import Mapping, Sequence
from math import log

LABELS = "labels"  # the term that is a cross-entropy with the true classes
NOTHING = 0.97  # of the loss of guessing: what chance may take off it in a few steps
FEWEST_POINTS = 4


def diagnose(curves: Mapping[str, Sequence[Mapping[str, float]]], classes: int) -> list[str]:
    """A sentence for each training that has learned nothing.

    Args:
        curves: title of a training -> what it logged.
        classes: how many there are; below two nothing is said.
    """
    if classes < 2:
        return []
    guessing = log(classes)
    return [
        f"{title} has learned nothing: its loss ended at {end:.3f}, where giving every class the same probability "
        f"costs ln {classes} = {guessing:.3f}. Try more steps or a higher learning rate."
        for title, end in ((title, _end(points)) for title, points in curves.items())
        if end is not None and end >= NOTHING * guessing
    ]


def _end(points: Sequence[Mapping[str, float]]) -> float | None:
    """The mean of the last quarter of a loss on labels; None where there is none, or too short a one."""
    values = [point[LABELS] for point in points if LABELS in point]
    if len(values) < FEWEST_POINTS:
        return None
    last = values[-(len(values) // 4) :]
    return sum(last) / len(last)
