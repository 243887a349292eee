"""Measure where the time of a training goes, and how many tokens it processes.

A GPU only queues the work of a step. So its parts are timed on every ``SAMPLED``-th step only, on which the clock
waits for the device; total times are wall time.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from torch import Tensor, nn

from pipeline.training.counts import NAMES, total

USES = ("data", "teacher", "student", "loss", "optimizer", "score", "checkpoint")
OUTSIDE = ("score", "checkpoint")
SAMPLED = 16


@dataclass
class Clock:
    """Seconds by use, and counts of rows and tokens.

    Attributes:
        seconds: use (one of ``USES``) -> seconds.
        step_seconds: wall time of all steps, without scores and checkpoints.
        counts: rows, tokens and pairs of all steps together, over all processes.
        synchronize: waits for the device; None on a CPU, where the work is done when a call returns.
    """

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(USES, 0.0))
    step_seconds: float = 0.0
    counts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(NAMES, 0.0))
    synchronize: Callable[[], None] | None = None
    _sampling: bool = True

    def sample(self, step: int) -> None:
        """Decide whether the parts of this step are timed.

        Args:
            step: number of the step, from 0.
        """
        self._sampling = self.synchronize is None or step % SAMPLED == 0

    def now(self) -> float:
        """Return the time in seconds, after waiting for the device if this step's parts are timed."""
        if self.synchronize is not None and self._sampling:
            self.synchronize()
        return time.perf_counter()

    def spend(self, use: str, since: float) -> float:
        """Add the seconds since a time to a use, and return the time now.

        Args:
            use: one of ``USES``.
            since: a time returned by ``now`` or by this method.
        """
        if use not in OUTSIDE and not self._sampling:
            return since
        now = self.now()
        sampled = 1 if self.synchronize is None or use in OUTSIDE else SAMPLED
        self.seconds[use] += (now - since) * sampled
        return now

    def read(self, counts: Mapping[str, float]) -> None:
        """Add the counts of one step."""
        self.counts = total((self.counts, counts))

    @property
    def tokens_per_second(self) -> float:
        """Real tokens a second, padding excluded."""
        return self.counts["tokens"] / max(1e-9, self.step_seconds)

    def figures(self) -> dict[str, float]:
        """Return seconds by use, tokens, speed and padding efficiency, as they are recorded."""
        return {
            **{f"{use}_seconds": seconds for use, seconds in self.seconds.items()},
            "step_seconds": self.step_seconds,
            "real_tokens": self.counts["tokens"],
            "tokens_per_second": self.tokens_per_second,
            "padding_efficiency": self.counts["tokens"] / max(1, self.counts["positions"]),
        }

    def saved(self) -> dict[str, Any]:
        """Return the fields that a checkpoint keeps."""
        kept = ("seconds", "step_seconds", "counts")
        return {name: getattr(self, name) for name in kept}


class Watch:
    """Separates the time of a student's model from that of its losses.

    A learner calls ``features_ready`` with the last tensor of its model, which marks the end of the model's forward
    pass. Autograd runs the newest operations first, so the gradient of that tensor marks the end of the losses'
    backward pass. The time between the two is that of the losses.

    Args:
        clock: receives the seconds.
        learner: the module, not wrapped for any device.
    """

    def __init__(self, clock: Clock, learner: nn.Module) -> None:
        self._clock, self._learner = clock, cast("Any", learner)
        self._since = clock.now()
        if hasattr(learner, "features_ready"):
            self._learner.features_ready = self._features_ready

    def stop(self) -> None:
        """End the watch after the backward pass."""
        self._since = self._clock.spend("student", self._since)
        if hasattr(self._learner, "features_ready"):
            self._learner.features_ready = None

    def _features_ready(self, last: Tensor) -> None:
        self._since = self._clock.spend("student", self._since)
        if last.requires_grad:
            last.register_hook(self._losses_done)

    def _losses_done(self, _gradient: Tensor) -> None:
        self._since = self._clock.spend("loss", self._since)
