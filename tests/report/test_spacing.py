import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.spacing import keep_apart, spread

VALUES = st.lists(st.floats(-10, 10), max_size=12)
GAP = st.floats(0.01, 3)


@given(VALUES, GAP)
def test_neighbours_are_apart_and_in_order(values, gap):
    spaced = spread(values, gap)
    order = np.argsort(values, kind="stable")
    assert np.all(np.diff(spaced[order]) >= gap - 1e-9)


@given(VALUES, GAP)
def test_the_middle_stays(values, gap):
    assert np.sum(spread(values, gap)) == pytest.approx(sum(values), abs=1e-6)


@given(st.lists(st.integers(-100, 100), max_size=12, unique=True))
def test_what_is_apart_is_not_moved(values):
    assert spread(values, 1.0) == pytest.approx(np.array(values, dtype=float))


def test_each_gap_is_its_own():
    assert keep_apart([5.0, 5.0, 5.0], [2.0, 4.0]) == pytest.approx([5 - 8 / 3, 5 - 2 / 3, 5 + 10 / 3])
