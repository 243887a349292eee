import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.distillation.layer_map import STRATEGIES, bottom, layer_map, top, uniform

layers = st.integers(1, 60)


@given(layers, layers)
def test_every_strategy_is_monotone_and_stays_inside(student: int, teacher: int) -> None:
    for strategy in STRATEGIES:
        found = layer_map(strategy, student, teacher)
        assert len(found) == student
        assert list(found) == sorted(found)
        assert found[0] >= 1
        assert found[-1] <= teacher


@given(layers, layers)
def test_uniform_ends_at_the_last_layer_and_stays_within_half_a_layer(student: int, teacher: int) -> None:
    found = uniform(student, teacher)
    assert found[-1] == teacher
    for m, layer in enumerate(found, 1):
        # the first teacher layer stands in for "less than half a layer"
        assert abs(layer - max(1, m * teacher / student)) <= 0.5


@given(layers, st.integers(1, 12))
def test_uniform_is_exact_where_layers_divide(student: int, ratio: int) -> None:
    assert uniform(student, student * ratio) == tuple(ratio * m for m in range(1, student + 1))


def test_known_maps() -> None:
    assert uniform(4, 12) == (3, 6, 9, 12)
    assert uniform(6, 12) == (2, 4, 6, 8, 10, 12)
    assert uniform(4, 6) == (2, 3, 5, 6)  # 1.5, 3, 4.5, 6
    assert uniform(5, 12) == (2, 5, 7, 10, 12)  # 2.4, 4.8, 7.2, 9.6, 12
    assert uniform(3, 2) == (1, 1, 2)  # a student deeper than its teacher
    assert top(4, 12) == (9, 10, 11, 12)
    assert bottom(4, 12) == (1, 2, 3, 4)
    assert top(3, 2) == (1, 1, 2)
    assert bottom(3, 2) == (1, 2, 2)


def test_an_explicit_map_is_kept() -> None:
    assert layer_map([3, 3, 12], 3, 12) == (3, 3, 12)


@pytest.mark.parametrize(
    ("given_map", "message"),
    [
        ([3, 6], "2 entries for 3 student layers"),
        ([3, 6, 13], r"outside 1\.\.12"),
        ([0, 6, 12], r"outside 1\.\.12"),
        ([6, 3, 12], "goes back"),
    ],
)
def test_an_explicit_map_that_does_not_fit_is_refused(given_map: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer_map(given_map, 3, 12)
