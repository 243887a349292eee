import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.corpus.files import pack

CLS, SEP = 101, 102
DOCUMENTS = st.lists(st.lists(st.lists(st.integers(0, 9), max_size=9), max_size=5), max_size=4)


@given(DOCUMENTS, st.integers(3, 12))
def test_packing_keeps_every_token_in_order_within_bounds(documents, max_length):
    for document in documents:
        sequences = list(pack([document], max_length, CLS, SEP))
        assert all(s[0] == CLS and s[-1] == SEP and 3 <= len(s) <= max_length for s in sequences)
        assert [t for s in sequences for t in s[1:-1]] == [t for paragraph in document for t in paragraph]
    together = list(pack(documents, max_length, CLS, SEP))
    assert together == [s for document in documents for s in pack([document], max_length, CLS, SEP)]


def test_paragraphs_are_joined_while_they_fit():
    documents = [[[1, 1], [2, 2], [3, 3, 3]], [[4]]]
    assert list(pack(documents, 7, CLS, SEP)) == [
        [CLS, 1, 1, 2, 2, SEP],
        [CLS, 3, 3, 3, SEP],
        [CLS, 4, SEP],
    ]


def test_an_overlong_paragraph_is_split_and_its_end_joined_by_the_next():
    assert list(pack([[[1] * 7, [2]]], 6, CLS, SEP)) == [[CLS, 1, 1, 1, 1, SEP], [CLS, 1, 1, 1, 2, SEP]]


def test_there_must_be_room_for_text():
    with pytest.raises(ValueError, match="max_length is 2"):
        list(pack([[[1]]], 2, CLS, SEP))
