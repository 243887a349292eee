"""Rounded lengths are few, never too short, and cost little on lengths as they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.shapes import round_up

LENGTHS = st.integers(1, 512)


@given(LENGTHS)
def test_a_rounded_length_holds_the_row_and_stays(length: int) -> None:
    rounded = round_up(length)
    assert length <= rounded <= max(length + 1, 1.25 * length)
    assert round_up(rounded) == rounded


@given(LENGTHS, LENGTHS)
def test_longer_rows_never_get_less(a: int, b: int) -> None:
    assert round_up(min(a, b)) <= round_up(max(a, b))


@given(LENGTHS, st.integers(1, 512))
def test_nothing_is_padded_beyond_what_a_model_can_read(length: int, longest: int) -> None:
    assert length <= round_up(length, longest) <= max(longest, length)


def test_the_shapes_are_few() -> None:
    shapes = sorted({round_up(length) for length in range(1, 129)})
    assert shapes == [*range(2, 17, 2), *range(20, 33, 4), *range(40, 65, 8), *range(80, 129, 16)]
    assert len({round_up(length) for length in range(1, 513)}) == 28


@pytest.mark.parametrize(("mean", "spread", "longest"), [(10.6, 0.6, 64), (36, 0.45, 128), (118, 0.2, 128)])
def test_little_is_added_to_lengths_as_they_are(mean: float, spread: float, longest: int) -> None:
    """Sentences of SST-2, pairs of MNLI, and packed text, in batches of 32 rows of about one length."""
    drawn = np.random.default_rng(0).lognormal(np.log(mean), spread, 32_000).clip(3, longest).astype(int)
    padded = np.sort(drawn)[31::32]
    assert sum(round_up(int(length), longest) for length in padded) <= 1.12 * padded.sum()
