import time
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.training.clock import SAMPLED, USES, Clock, Watch


class Slow(torch.autograd.Function):
    """Takes its time forward and backward."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, forward: float, backward: float) -> Tensor:
        ctx.pause = backward
        time.sleep(forward)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        time.sleep(ctx.pause)
        return gradients[0], None, None


class Student(nn.Module):
    """A model (two parts) and two losses, each as slow as told."""

    features_ready: Any = None

    def __init__(self, model: float, losses: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.model, self.losses = model, losses

    def forward(self) -> Tensor:
        first = Slow.apply(self.weight, self.model, self.model)
        last = Slow.apply(first, self.model, self.model)
        if self.features_ready:
            self.features_ready(last)
        return Slow.apply(first, self.losses, self.losses).sum() + Slow.apply(last, self.losses, self.losses).sum()


@pytest.mark.parametrize(("model", "losses"), [(0.03, 0.0), (0.0, 0.03), (0.02, 0.04)])
def test_the_models_time_is_told_from_the_losses(model: float, losses: float) -> None:
    clock, student = Clock(), Student(model, losses)
    watch = Watch(clock, student)
    student().backward()
    watch.stop()
    assert clock.seconds["student"] >= 4 * model
    assert clock.seconds["loss"] >= 4 * losses
    quick = min((4 * losses, "loss"), (4 * model, "student"))[1]
    assert clock.seconds[quick] < clock.seconds["loss" if quick == "student" else "student"]
    assert student.features_ready is None


def test_a_learner_that_marks_nothing_is_all_student() -> None:
    clock = Clock()
    watch = Watch(clock, nn.Linear(2, 2))
    watch.stop()
    assert clock.seconds["loss"] == 0 < clock.seconds["student"]


def test_a_device_that_lags_is_waited_for_on_some_steps_only() -> None:
    waits: list[int] = []
    clock = Clock(synchronize=lambda: waits.append(1))
    for step in range(2 * SAMPLED):
        clock.sample(step)
        clock.spend("student", clock.now())
    assert len(waits) == 4
    clock.spend("score", clock.now() - 1.0)
    assert 1.0 <= clock.seconds["score"] < 1.5


def test_figures_and_what_is_saved() -> None:
    clock = Clock()
    for _ in range(2):
        clock.read({"rows": 2, "tokens": 6, "pairs": 20, "positions": 8, "position_pairs": 32, "predicted": 0})
    clock.step_seconds = 4.0
    figures = clock.figures()
    assert (figures["real_tokens"], figures["tokens_per_second"], figures["padding_efficiency"]) == (12, 3.0, 0.75)
    assert {f"{use}_seconds" for use in USES} <= set(figures)
    again = Clock()
    for name, value in clock.saved().items():
        setattr(again, name, value)
    assert again.figures() == figures
