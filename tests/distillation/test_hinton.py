"""Soft targets and gold labels together, against the formula of Hinton et al. 2015 (arXiv:1503.02531, section 2)."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.distillation.objective import Objective, Part
from pipeline.distillation.schedules import at, ramp
from pipeline.distillation.terms.response import HardTerm, SoftTerm
from pipeline.features import IGNORED, OUTPUT, Moment
from pipeline.training.counts import count


def softmax(values: np.ndarray) -> np.ndarray:
    exponent = np.exp(values - values.max(axis=1, keepdims=True))
    return exponent / exponent.sum(axis=1, keepdims=True)


def batch_of(labels: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"attention_mask": torch.ones(len(labels), 2, dtype=torch.bool), "labels": labels}


@given(st.integers(1, 6), st.integers(2, 5), st.floats(0.5, 20), st.integers(0, 1000))
def test_soft_and_hard_are_those_of_the_formula(rows: int, classes: int, temperature: float, seed: int) -> None:
    numbers = np.random.default_rng(seed)
    own, wanted = numbers.normal(size=(2, rows, classes))
    labels = numbers.integers(-1, classes, rows)  # -1: without a label
    objective = Objective(
        [
            Part("soft", SoftTerm("classes", temperature=temperature, squared_temperature=True), 0.9, "teacher"),
            Part("hard", HardTerm("classes"), 0.1),
        ]
    )
    known = labels >= 0
    soft = -(softmax(wanted / temperature) * np.log(softmax(own / temperature))).sum(axis=1).mean() * temperature**2
    hard = -np.log(softmax(own))[known, labels[known]].mean() if known.any() else 0.0
    batch = batch_of(torch.tensor(np.where(known, labels, IGNORED)))
    found = objective(
        {OUTPUT: torch.tensor(own)}, {"teacher": {OUTPUT: torch.tensor(wanted)}}, batch, Moment(count(batch))
    )
    assert found["soft"].item() == pytest.approx(0.9 * soft, rel=1e-5, abs=1e-6)
    assert found["hard"].item() == pytest.approx(0.1 * hard, rel=1e-5, abs=1e-6)


def test_a_row_without_a_value_adds_nothing_and_has_no_gradient() -> None:
    own = torch.tensor([[1.0], [2.0], [5.0]], requires_grad=True)
    batch = batch_of(torch.tensor([3.0, float("nan"), 4.0]))
    loss = HardTerm("value")({OUTPUT: own}, {}, batch, Moment(count(batch)))
    loss.backward()
    assert loss.item() == pytest.approx((4 + 1) / 2)
    assert own.grad is not None
    assert own.grad.flatten().tolist() == pytest.approx([-2.0, 0.0, 1.0])


def test_labels_that_are_missing_are_shared_out_like_the_rows_that_have_one() -> None:
    """Parts of a step add up to the step, whichever part the labels are in."""
    own, labels = torch.randn(4, 3), torch.tensor([1, IGNORED, IGNORED, 0])
    whole, term = batch_of(labels), HardTerm("classes")
    moment = Moment(count(whole))
    parts = [term({OUTPUT: own[part]}, {}, batch_of(labels[part]), moment) for part in (slice(0, 1), slice(1, 4))]
    torch.testing.assert_close(sum(parts), term({OUTPUT: own}, {}, whole, moment))


def test_weight_and_temperature_move_with_the_progress() -> None:
    ramped = ramp(1.0, 0.0, over=(0.25, 0.75))
    assert [at(ramped, progress) for progress in (0.0, 0.25, 0.5, 0.75, 0.9)] == [1.0, 1.0, 0.5, 0.0, 0.0]
    assert at(ramp(4.0, 2.0, "cosine"), 0.5) == pytest.approx(3.0)
    own, wanted = torch.randn(2, 3), torch.randn(2, 3)
    moving = Objective([Part("soft", SoftTerm("classes", temperature=ramp(4.0, 2.0)), ramp(0.0, 1.0), "teacher")])
    still = SoftTerm("classes", temperature=3.0)
    shown = ({OUTPUT: own}, {"teacher": {OUTPUT: wanted}}, {})
    found = moving(*shown, Moment(progress=0.5))["soft"]
    torch.testing.assert_close(found, 0.5 * still(shown[0], shown[1]["teacher"], {}, Moment()))
