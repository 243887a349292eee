"""The learning rate as a pure function of the step: a warm-up, then a decay."""

import math


def learning_rate(step: int, total: int, peak: float, warmup: float, schedule: str) -> float:
    """Learning rate of step 0, 1, ... total - 1.

    Args:
        step: number of steps already taken.
        total: number of steps of the whole run.
        peak: highest learning rate.
        warmup: share of the steps that rise linearly to the peak.
        schedule: "linear" or "cosine" decay to zero, or "constant".
    """
    rising = round(total * warmup)
    if step < rising:
        return peak * (step + 1) / rising
    if schedule == "constant":
        return peak
    left = (total - step) / max(1, total - rising)
    return peak * (left if schedule == "linear" else 0.5 * (1 + math.cos(math.pi * (1 - left))))
