from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.tokens.masking import mask_tokens
from pipeline.features import IGNORED

MASK, VOCABULARY = 4, 50


def masked(ids: np.ndarray, maskable: np.ndarray, key: tuple[int, int] = (0, 0), p: float = 0.15) -> Any:
    return mask_tokens(ids, maskable, probability=p, mask_id=MASK, vocab_size=VOCABULARY, key=key)


@settings(deadline=None)
@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 12)),
    probability=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**31),
    step=st.integers(0, 2**31),
)
def test_only_maskable_positions_change_and_labels_tell_them(
    shape: tuple[int, int], probability: float, seed: int, step: int
) -> None:
    random = np.random.default_rng(seed)
    ids, maskable = random.integers(5, VOCABULARY, shape), random.random(shape) < 0.7
    before = ids.copy()
    found, labels = masked(ids, maskable, (seed, step), probability)
    assert np.array_equal(ids, before)
    predicted = labels != IGNORED
    assert not (predicted & ~maskable).any()
    assert np.array_equal(found[~predicted], ids[~predicted])
    assert np.array_equal(labels[predicted], ids[predicted])
    assert predicted.any() == maskable.any()
    assert found.min() >= 0
    assert found.max() < VOCABULARY
    again, labels_again = masked(ids, maskable, (seed, step), probability)
    assert np.array_equal(found, again)
    assert np.array_equal(labels, labels_again)


def test_the_shares_are_those_of_bert() -> None:
    ids = np.random.default_rng(0).integers(5, VOCABULARY, (400, 250))
    found, labels = masked(ids, np.ones_like(ids, bool))
    predicted = labels != IGNORED
    assert predicted.mean() == pytest.approx(0.15, abs=0.005)
    became_mask = (found == MASK) & predicted
    stayed = (found == ids) & predicted
    # one in fifty of the random word pieces is the old one, one in fifty [MASK]
    assert became_mask.sum() / predicted.sum() == pytest.approx(0.8 + 0.1 / 50, abs=0.015)
    assert stayed.sum() / predicted.sum() == pytest.approx(0.1 + 0.1 / 50, abs=0.015)
    others = found[predicted & ~became_mask & ~stayed]
    assert set(others.tolist()) == set(range(VOCABULARY)) - {MASK}


def test_steps_and_seeds_draw_anew() -> None:
    ids = np.full((8, 64), 9)
    drawn = [masked(ids, ids > 0, key)[1] for key in ((0, 0), (0, 1), (1, 0))]
    assert not any(np.array_equal(a, b) for a, b in ((drawn[0], drawn[1]), (drawn[0], drawn[2])))


def test_nothing_maskable_is_nothing_predicted() -> None:
    ids = np.full((2, 3), 2)
    found, labels = masked(ids, np.zeros((2, 3), bool))
    assert np.array_equal(found, ids)
    assert (labels == IGNORED).all()
