"""A clock says where the time of a training went, and how many tokens it bought.

On a GPU the work of a step is only queued, so its parts are told apart on every ``SAMPLED``-th step alone, on
which the clock waits for the device; the totals come from wall time.
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
    """Seconds by what they were spent on; tokens as they were and as they were computed.

    Attributes:
        seconds: by use.
        step_seconds: wall time of the steps; scores and checkpoints are not part of it.
        counts: what all steps held together, over all processes.
        synchronize: waits for the device; None where it never lags behind.
    """

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(USES, 0.0))
    step_seconds: float = 0.0
    counts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(NAMES, 0.0))
    synchronize: Callable[[], None] | None = None
    _sampling: bool = True

    def sample(self, step: int) -> None:
        """Decide whether the parts of this step are told apart."""
        self._sampling = self.synchronize is None or step % SAMPLED == 0

    def now(self) -> float:
        """The time, in seconds."""
        if self.synchronize is not None and self._sampling:
            self.synchronize()
        return time.perf_counter()

    def spend(self, use: str, since: float) -> float:
        """Put the time since then down to ``use``; returns the time now."""
        if use not in OUTSIDE and not self._sampling:
            return since
        now = self.now()
        sampled = 1 if self.synchronize is None or use in OUTSIDE else SAMPLED
        self.seconds[use] += (now - since) * sampled
        return now

    def read(self, counts: Mapping[str, float]) -> None:
        """Count what a step holds."""
        self.counts = total((self.counts, counts))

    @property
    def tokens_per_second(self) -> float:
        """Real tokens a second, padding not counted."""
        return self.counts["tokens"] / max(1e-9, self.step_seconds)

    def figures(self) -> dict[str, float]:
        """Seconds by use, tokens, speed and padding efficiency, for the record."""
        return {
            **{f"{use}_seconds": seconds for use, seconds in self.seconds.items()},
            "step_seconds": self.step_seconds,
            "real_tokens": self.counts["tokens"],
            "tokens_per_second": self.tokens_per_second,
            "padding_efficiency": self.counts["tokens"] / max(1, self.counts["positions"]),
        }

    def saved(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        kept = ("seconds", "step_seconds", "counts")
        return {name: getattr(self, name) for name in kept}


class Watch:
    """Tells the student's own passes from its losses.

    A learner that calls ``features_ready`` with the last tensor of its model marks the end of the model's
    forward pass; autograd runs the newest operations first, so that tensor's gradient marks the end of the
    losses' backward pass. The time between is the losses'.

    Args:
        clock: where the seconds go.
        learner: not wrapped for any device.
    """

    def __init__(self, clock: Clock, learner: nn.Module) -> None:
        self._clock, self._learner = clock, cast("Any", learner)
        self._since = clock.now()
        if hasattr(learner, "features_ready"):
            self._learner.features_ready = self._features_ready

    def stop(self) -> None:
        """The backward pass is over."""
        self._since = self._clock.spend("student", self._since)
        if hasattr(self._learner, "features_ready"):
            self._learner.features_ready = None

    def _features_ready(self, last: Tensor) -> None:
        self._since = self._clock.spend("student", self._since)
        if last.requires_grad:
            last.register_hook(self._losses_done)

    def _losses_done(self, _gradient: Tensor) -> None:
        self._since = self._clock.spend("loss", self._since)
