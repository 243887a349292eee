"""Dropout drawn from 16 bits an element is dropout: rate, mean, gradient, and randomness that is torch's own."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pipeline.models.speed.dropout import LEVELS, Dropout, draw_cheaply


@settings(deadline=None)
@given(
    rate=st.floats(0.01, 0.9),
    shape=st.lists(st.integers(1, 60), min_size=1, max_size=3),
    dtype=st.sampled_from((torch.float32, torch.float64, torch.bfloat16)),
    seed=st.integers(0, 2**31),
)
def test_elements_are_dropped_or_scaled_and_the_gradient_says_which(
    rate: float, shape: list[int], dtype: torch.dtype, seed: int
) -> None:
    x = torch.rand(shape, dtype=dtype).add_(0.5).requires_grad_()
    torch.manual_seed(seed)
    y = Dropout(rate)(x)
    torch.manual_seed(seed)
    again = Dropout(rate)(x)
    y.sum().backward()
    assert x.grad is not None
    scale = LEVELS / (LEVELS - round(rate * LEVELS))
    kept = y != 0
    assert y.dtype == dtype
    assert torch.equal(y, again)
    torch.testing.assert_close(y[kept], (x * scale)[kept])
    torch.testing.assert_close(x.grad, kept.to(dtype) * scale)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_rate_and_the_mean_hold_over_a_million_draws(rate: float, dtype: torch.dtype) -> None:
    torch.manual_seed(7)
    count = 1_000_003  # the last 64-bit number serves fewer than four
    y = Dropout(rate)(torch.ones(count, dtype=dtype)).double()
    error = (rate * (1 - rate) / count) ** 0.5
    assert abs((y == 0).double().mean() - rate) < 4 * error + 1 / LEVELS
    # A kept one is rounded to its precision.
    assert abs(y.mean() - 1) < 4 * error / (1 - rate) + torch.finfo(dtype).eps / 2


def test_neighbours_are_drawn_independently() -> None:
    """Four elements share a 64-bit number."""
    torch.manual_seed(3)
    count = 400_000
    kept = (Dropout(0.5)(torch.ones(count)) > 0).double() - 0.5
    for distance in (1, 2, 3, 4, 5):
        correlation = (kept[distance:] * kept[:-distance]).mean() * 4
        assert abs(correlation) < 4 / count**0.5


@pytest.mark.parametrize("rate", [0.0, 1e-9, 1.0])
def test_rates_at_the_ends_are_torchs(rate: float) -> None:
    x = torch.randn(5, 7)
    assert torch.equal(Dropout(rate)(x), nn.Dropout(rate)(x))


def test_a_mode_without_dropout_leaves_everything() -> None:
    x = torch.randn(5, 7)
    assert torch.equal(Dropout(0.5).eval()(x), x)


def test_a_model_takes_it_in_the_place_of_torchs() -> None:
    class Own(nn.Dropout):
        pass

    model = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Dropout(0.3), Own(0.2)), nn.Dropout(0.1)).eval()
    names = list(model.state_dict())
    draw_cheaply(model)
    inner = model[1]
    assert isinstance(inner, nn.Sequential)
    assert [type(module) for module in (*inner, model[2])] == [Dropout, Own, Dropout]
    assert [module.p for module in (*inner, model[2]) if isinstance(module, nn.Dropout)] == [0.3, 0.2, 0.1]
    assert not model[2].training
    assert list(model.state_dict()) == names


@pytest.mark.slow
def test_a_compiled_one_draws_the_same() -> None:
    x = torch.randn(4, 5, 7, requires_grad=True)
    drawn = []
    for each in (Dropout(0.5), torch.compile(Dropout(0.5), options={"fallback_random": True})):
        torch.manual_seed(0)
        drawn.append(each(x))
    assert torch.equal(*drawn)
