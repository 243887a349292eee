"""Numbers that move while a phase is trained: pure functions of its progress."""

import math
from collections.abc import Callable

Number = float | Callable[[float], float]
"""A constant, or a function of the progress, which goes from 0 to below 1."""


def at(number: Number, progress: float) -> float:
    """The value of a number at some progress of the training."""
    return number(progress) if callable(number) else number


def ramp(start: float, end: float, shape: str = "linear", over: tuple[float, float] = (0.0, 1.0)) -> Number:
    """A number that goes from one value to another and is constant before and after.

    Args:
        start: its value at the beginning.
        end: its value at the end.
        shape: ``linear``, or ``cosine`` for a way without corners.
        over: shares of the training between which it moves, 0 <= first < second <= 1.
    """
    first, last = over

    def value(progress: float) -> float:
        gone = min(1.0, max(0.0, (progress - first) / (last - first)))
        share = gone if shape == "linear" else 0.5 * (1 - math.cos(math.pi * gone))
        return start + (end - start) * share

    return value
