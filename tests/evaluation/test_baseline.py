import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.evaluation.baseline import tfidf_baseline, unit

TRAIN = ["a good film", "a fine film", "good and fine", "a bad film", "a poor film", "bad and poor"]
LABELS = [1, 1, 1, 0, 0, 0]


def test_it_learns_words():
    assert tfidf_baseline(TRAIN, LABELS, ["good", "poor"]).tolist() == [1, 0]


def test_labels_may_be_names():
    names = ["pos" if label else "neg" for label in LABELS]
    assert tfidf_baseline(TRAIN, names, ["good", "poor"]).tolist() == ["pos", "neg"]


def test_it_learns_word_pairs():
    train = ["not good", "bad not", "good but", "not bad", "good not", "bad but"] * 5
    labels = [0, 0, 1, 1, 1, 0] * 5
    assert tfidf_baseline(train, labels, ["not good", "good not"]).tolist() == [0, 1]


def test_no_word_pair_spans_two_texts():
    train = [("not", "good"), ("not good", "so")] * 8 + [("good", "not"), ("so", "not good")] * 8
    labels = [1, 0] * 16
    assert tfidf_baseline(train, labels, [("not", "good"), ("so", "not good")]).tolist() == [1, 0]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0, 5), min_size=len(TRAIN), max_size=len(TRAIN)))
def test_scores_stay_within_the_labels_seen(labels):
    scores = tfidf_baseline(TRAIN, labels, ["good good", "poor", ""], kind="regression")
    assert scores.shape == (3,)
    assert np.all((min(labels) <= scores) & (scores <= max(labels)))


def test_regression_follows_the_words():
    scores = tfidf_baseline(TRAIN, [5.0, 4.5, 5.0, 0.0, 0.5, 0.0], ["good", "bad"], kind="regression")
    assert scores[0] > 3
    assert scores[1] < 2


def test_without_spaces_it_counts_characters():
    good, bad = "这家酒店的服务很好我们会再来", "这家酒店的服务很差我们不会来"
    train = [f"{number}号房间{good[number % 5 :]}" for number in range(20)]
    train += [f"{number}号房间{bad[number % 5 :]}" for number in range(20)]
    labels = [1] * 20 + [0] * 20
    assert tfidf_baseline(train, labels, ["早餐很好", "早餐很差"]).tolist() == [1, 0]  # clauses that nobody has seen


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (TRAIN, "words"),
        (["한국어는 띄어쓰기를 합니다", "Это русский текст"], "words"),
        (["酒店在 Shanghai 的 Bund 旁边服务很好"], "characters"),
        (["ホテルはとてもよかった"], "characters"),
        (["โรงแรมนี้ดีมาก"], "characters"),
        (["a film called 霸王别姬 that is good"], "words"),
        ([("好", "不好")], "characters"),
        (["1 2 3", ""], "words"),
    ],
)
def test_the_script_of_the_training_texts_decides(texts, expected):
    assert unit(texts) == expected


def test_one_label_only_is_named():
    with pytest.raises(DataError, match=r"one label only \(1\)"):
        tfidf_baseline(["a word", "two words"], [1, 1], ["x"])


def test_rows_without_words_are_named():
    with pytest.raises(DataError, match="2 training rows hold no words"):
        tfidf_baseline(["!", "?"], [0, 1], ["good"])
