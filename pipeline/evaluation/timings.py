"""What repeated timings say: a time that noise moves little, and a ratio with an interval.

Whatever else runs on a machine makes a pass slower and never faster, so the low end of many passes is the model's
own time and the high end is the company it had. The tenth percentile is taken and not the minimum: it is as
little moved by others, and the bootstrap works for it (with the minimum, nets that were the same had an interval
without 1 in a fifth of all simulated measurements instead of a twentieth).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.evaluation.metrics import interval

LOW, MIDDLE, HIGH = 0.1, 0.5, 0.9
LARGEST_SPREAD = 1.5  # of the ninetieth to the tenth percentile: on a quiet machine it is below 1.2
RESAMPLES = 1000
LEVEL = 0.95


class Timing(NamedTuple):
    """What is said of one model's passes.

    Attributes:
        milliseconds: the tenth percentile.
        median: of the same passes.
        p90: their ninetieth percentile.
        rounds: how many there were.
        speed: how many times faster than the model it is compared with, and the interval: (ratio, low, high).
        reliable: neither its own passes nor those of the model it is compared with were scattered.
    """

    milliseconds: float
    median: float
    p90: float
    rounds: int
    speed: tuple[float, float, float] | None
    reliable: bool


def judge(times: Mapping[str, Sequence[float]], against: str | None, seed: int) -> dict[str, Timing]:
    """Sum up rounds in which every model was timed once.

    The bootstrap draws whole rounds, so that a slow minute, which all models met, cancels out of the ratio.

    Args:
        times: model -> milliseconds, one a round.
        against: the model that the others are compared with; None, or one that was not timed, for no comparison.
        seed: of the draws.
    """
    figures = {name: np.quantile(values, (LOW, MIDDLE, HIGH)) for name, values in times.items()}
    steady = {name: bool(high <= LARGEST_SPREAD * low) for name, (low, _, high) in figures.items()}
    found = {}
    for name, (low, middle, high) in figures.items():
        compared = against is not None and against in times and name != against
        speed = _ratio(np.asarray(times[against]), np.asarray(times[name]), seed) if compared and against else None
        reliable = steady[name] and steady.get(against or name, True)
        found[name] = Timing(float(low), float(middle), float(high), len(times[name]), speed, reliable)
    return found


def _ratio(slow: np.ndarray, fast: np.ndarray, seed: int) -> tuple[float, float, float]:
    """How many times the low end of the first is that of the second, with its interval."""
    rounds = np.random.default_rng(seed).integers(len(slow), size=(RESAMPLES, len(slow)))
    drawn = np.quantile(slow[rounds], LOW, axis=1) / np.quantile(fast[rounds], LOW, axis=1)
    return (float(np.quantile(slow, LOW) / np.quantile(fast, LOW)), *interval(drawn, LEVEL))
