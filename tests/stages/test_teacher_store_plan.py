"""Whether storing pays, as arithmetic."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.training import TrainingConfig
from pipeline.engine.teacher_cache.build import num_passes
from pipeline.engine.teacher_cache.decision import caching_pays

COST = {
    "tokens": 66_000,
    "bytes_per_token": 40_000,
    "passes": 10,
    "budget": 10e9,
    "free": 100e9,
    "teacher_seconds": 1e-3,
    "write_seconds": 1e-9,
    "read_seconds": 5e-10,
}


def test_a_decision_says_what_it_takes_and_what_it_saves() -> None:
    decision = caching_pays(**COST)
    assert decision.store
    assert decision.reason == "teacher features stored: 2.64 GB of 10 GB, saves about 9 x 64.7 s"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"budget": 0}, "runtime.teacher_store_gb is 0"),
        ({"passes": 1}, "there is one pass over the rows only"),
        ({"budget": 2e9}, "2.64 GB do not fit the 2 GB of runtime.teacher_store_gb"),
        ({"free": 3e9}, "2.64 GB do not fit the 3 GB that are free, of which 1 GB is left to checkpoints"),
        (
            {"teacher_seconds": 1e-5, "write_seconds": 4e-9},
            "a pass takes 0.66 s, writing it 10.6 s and reading it 1.32 s",
        ),
    ],
)
def test_what_does_not_pay_is_recomputed(changed: dict[str, float], why: str) -> None:
    decision = caching_pays(**(COST | changed))
    assert not decision.store
    assert decision.reason == f"teacher features recomputed: {why}"


amount = st.floats(0, 10)


@given(teacher=amount, write=amount, read=amount, passes=st.integers(1, 50), tokens=st.integers(1, 1000))
def test_what_is_stored_takes_less_time_in_all(
    teacher: float, write: float, read: float, passes: int, tokens: int
) -> None:
    stored = caching_pays(
        tokens=tokens,
        bytes_per_token=8,
        passes=passes,
        budget=math.inf,
        free=math.inf,
        teacher_seconds=teacher,
        write_seconds=write / 8,
        read_seconds=read / 8,
    ).store
    saved = tokens * ((passes - 1) * (teacher - read) - write)
    if abs(saved) > 1e-6:
        assert stored == (saved > 0 and passes > 1)


@pytest.mark.parametrize(
    ("options", "batches", "passes"),
    [
        ({"epochs": 3}, 10, 3),
        ({"epochs": 3, "max_steps": 15}, 10, 1.5),
        ({"epochs": 3, "max_steps": 15, "gradient_accumulation": 2}, 10, 3),
        ({"epochs": 3, "max_steps": 1000}, 10, 3),
    ],
)
def test_passes_end_with_the_steps(options: dict[str, int], batches: int, passes: float) -> None:
    assert num_passes(TrainingConfig(**options), batches) == passes


def test_a_store_that_is_asked_for_is_kept_whatever_it_costs_and_only_where_it_fits() -> None:
    slow = {"tokens": 1_000, "bytes_per_token": 4, "passes": 2, "free": 1e12, "what": "features"}
    slow |= {"teacher_seconds": 1e-6, "write_seconds": 1.0, "read_seconds": 1.0}
    assert not caching_pays(**slow, budget=1e9).store
    assert caching_pays(**slow, budget=1e9, always=True).store
    assert not caching_pays(**slow, budget=1e3, always=True).store
