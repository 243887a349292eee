"""Figures of variants, against the obvious way of computing them."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.augmentation.variants.quality import length_ratio, survey, teacher_shift

TEXTS = st.sampled_from(["a b", "A b", "c", "Straße", ""])
ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["text", "text_pair"]), st.integers(1, 3), TEXTS, TEXTS), max_size=20
)
NAMES = ("origin_id", "column", "num_changed", "text", "text_pair")


def table(rows, names=NAMES):
    columns = list(zip(*rows, strict=True)) or [()] * 5
    return pa.table({name: list(column) for name, column in zip(NAMES, columns, strict=True)}).select(list(names))


@settings(deadline=None, max_examples=60)
@given(ROWS, st.sets(st.integers(0, 25)), st.integers(1, 7))
def test_a_survey_counts_what_there_is_however_it_is_read(rows, wanted, chunk):
    rows = sorted(rows, key=lambda row: row[0])  # those of an origin stand together
    found = survey(table(rows).to_batches(max_chunksize=chunk), wanted)
    assert found.variants == len(rows)
    assert found.varied_rows == len({row[0] for row in rows})
    assert found.distinct == len({(origin, text.lower(), pair.lower()) for origin, _, _, text, pair in rows})
    chosen = {place: row for place, row in enumerate(rows) if place in wanted}
    assert [tuple(one) for one in found.shown] == [
        (place, column, changed, text if column == "text" else pair)
        for place, (_, column, changed, text, pair) in chosen.items()
    ]


def test_single_sentences_have_no_pair_to_tell_apart():
    rows = [(1, "text", 1, "a", ""), (1, "text", 1, "A", ""), (2, "text", 1, "a", "")]
    found = survey(table(rows, NAMES[:4]).to_batches(), [1])
    assert found[:3] == (3, 2, 2)
    assert found.shown[0].text == "A"


def test_length_ratio():
    lengths = np.array([4, 10, 6, 5, 20], np.int32)  # two origins, three variants
    ratio = length_ratio(lengths, np.array([0, 1, 1]))
    assert ratio["mean"] == pytest.approx((6 / 4 + 5 / 10 + 20 / 10) / 3)
    assert ratio["p05"] == pytest.approx(0.6)
    assert ratio["p95"] == pytest.approx(1.95)
    assert length_ratio(lengths, np.array([], np.int64)) == {}


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 4), st.integers(0, 6), st.integers(1, 4), st.integers(0, 2**20))
def test_the_shift_is_the_obvious_one(origins, variants, classes, seed):
    random = np.random.default_rng(seed)
    logits = (random.normal(size=(origins + variants, classes)) * 30).astype(np.float32)
    where = random.integers(origins, size=variants)
    flipped = random.random(variants) < 0.5
    found = teacher_shift(logits, where, flipped)
    if not variants:
        assert found == {}
        return
    assert found["flip_rate"] == flipped.mean()
    if classes == 1:
        assert found["score_shift"] == pytest.approx(np.abs(logits[origins:, 0] - logits[where, 0]).mean(), rel=1e-5)
        return
    exact = np.exp(logits.astype(np.float64))
    exact /= exact.sum(axis=1, keepdims=True)
    apart = [np.abs(exact[origins + n] - exact[where[n]]).sum() / 2 for n in range(variants)]
    assert found["probability_shift"] == pytest.approx(np.mean(apart), abs=1e-9)
    if classes == 2:
        assert found["probability_shift"] == pytest.approx(np.abs(exact[origins:, 0] - exact[where, 0]).mean())
