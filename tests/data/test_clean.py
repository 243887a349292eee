import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.corpus.files import Deduplicator, clean_paragraph

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("  a \t b\r\n c ", "a b c"),
        ("e\u0301", "\u00e9"),
        ("a\x00b\x07c\x7f", "abc"),
        ("zero\u200bwidth\ufeff soft\u00adhyphen", "zerowidth softhyphen"),
        ("a\u00a0b\u2003c\x85d", "a b c d"),
        ("lone \ud800 surrogate", "lone surrogate"),
    ],
)
def test_a_clean_paragraph_is_composed_visible_and_single_spaced(dirty, clean):
    assert clean_paragraph(dirty) == clean


@given(ANY_TEXT)
def test_cleaning_is_idempotent_and_leaves_encodable_composed_text(text):
    clean = clean_paragraph(text)
    assert clean_paragraph(clean) == clean
    assert clean.encode().decode() == clean
    assert unicodedata.is_normalized("NFC", clean)
    assert clean == " ".join(clean.split())


@given(st.lists(st.text("abc", max_size=3)))
def test_a_text_is_seen_from_its_second_time_on(texts):
    known = Deduplicator(memory_mb=0.1)
    assert [known.seen(text) for text in texts] == [text in texts[:i] for i, text in enumerate(texts)]


def test_the_estimated_rate_is_the_observed_one():
    known = Deduplicator(memory_mb=0.01)
    for i in range(10_000):
        known.seen(f"member {i}")
    estimate = known.false_positive_rate
    mistaken = 0
    for i in range(3000):
        mistaken += known.seen(f"stranger {i}")
    assert 0.01 < estimate < 0.1
    assert estimate * 0.7 < mistaken / 3000 < known.false_positive_rate * 1.4


def test_answers_are_the_same_every_time():
    def answers() -> list[bool]:
        known = Deduplicator(memory_mb=0.001)
        return [known.seen(str(i * i % 977)) for i in range(3000)]

    assert answers() == answers()
