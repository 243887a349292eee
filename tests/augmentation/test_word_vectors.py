import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.augmentation.candidates.glove import load_glove
from pipeline.augmentation.candidates.vectors import WordVectors, from_input_embeddings
from pipeline.errors import DataError


def names(count: int) -> list[str]:
    return [chr(ord("a") + i // 26) + chr(ord("a") + i % 26) for i in range(count)]


def nearest(words: list[str], matrix: np.ndarray, word: str, k: int) -> list[str]:
    query = matrix[words.index(word)].astype(np.float64)
    others = [
        (-float(query @ row) / np.linalg.norm(row), i, other)
        for i, (other, row) in enumerate(zip(words, matrix.astype(np.float64), strict=True))
        if other != word
    ]
    return [other for _, _, other in sorted(others)[:k]]


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 90), st.integers(1, 12), st.integers(0, 10_000))
def test_neighbours_are_the_nearest_by_cosine(count, k, seed):
    matrix = np.random.default_rng(seed).normal(size=(count, 6)).astype(np.float32)
    vectors = WordVectors(names(count), matrix)
    for word in names(count)[:3]:
        assert list(vectors.neighbours(word, k)) == nearest(names(count), matrix, word, k)


@settings(max_examples=30, deadline=None)
@given(arrays(np.float32, (40, 3), elements=st.sampled_from([-1.0, 0.0, 1.0])))
def test_ties_fall_to_the_earlier_word_whoever_else_is_asked(matrix):
    matrix[0] = 1.0
    words = names(40)
    together = WordVectors(words, matrix)
    alone = WordVectors(words, matrix)
    answers = together.neighbours_of(words, 5)
    for word in words[:6]:
        assert alone.neighbours(word, 5) == answers[word]
    kept = [i for i in range(40) if matrix[i].any()]
    assert together.num_zero == 40 - len(kept)
    twins = [words[i] for i in kept if i and (matrix[i] == 1.0).all()]
    assert list(answers[words[0]][: len(twins)]) == twins[:5]


def test_answers_that_are_kept_are_bounded_and_those_forgotten_are_found_again(monkeypatch):
    words = names(30)
    matrix = np.random.default_rng(3).normal(size=(30, 6))
    free = WordVectors(words, matrix).neighbours_of(words, 4)
    monkeypatch.setattr("pipeline.augmentation.candidates.vectors.KNOWN", 7)
    tight = WordVectors(words, matrix)
    for start in (*range(0, 30, 5), 0):
        some = words[start : start + 5] * 2
        assert tight.neighbours_of(some, 4) == {word: free[word] for word in some}
        assert len(tight._known) <= 7
    assert tight.neighbours_of([*words, "unheard"], 4) == free | {"unheard": ()}


def test_case_is_forgiven_and_own_case_variants_are_left_out():
    vectors = WordVectors(["good", "Good", "fine", "bad"], np.eye(4)[[0, 0, 0, 1]] + 0.1)
    assert vectors.neighbours("GOOD", 2) == ("fine", "bad")
    assert vectors.neighbours("unheard", 2) == ()
    assert vectors.vector("unheard") is None


def test_vectors_without_direction_are_refused():
    with pytest.raises(DataError, match="2 words, none with a direction"):
        WordVectors(["a", "b"], np.zeros((2, 3)))


def test_input_embeddings_serve_as_vectors(bert, wordpiece):
    vectors = from_input_embeddings(bert, wordpiece)
    weights = bert.get_input_embeddings().weight.detach().numpy()
    assert {"lazy", "dog"} <= set(vectors.words)
    assert not any(word.startswith("##") for word in vectors.words)
    pieces = wordpiece("doggripping", add_special_tokens=False)["input_ids"]
    assert len(pieces) > 1
    mean = weights[pieces].mean(axis=0)
    np.testing.assert_allclose(vectors.vector("doggripping"), mean / np.linalg.norm(mean), rtol=1e-5)
    assert len(vectors.neighbours("doggripping", 4)) == 4


def test_glove_is_read_as_written(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text('the 1 2 2\n" 1 0 0\nNA 0 3 4\nnan 1e-1 0 0\nzero 0 0 0\nthe 9 9 9\n1st 1 1 1\n', "utf-8")
    vectors = load_glove(path)
    assert vectors.words == ["the", "NA", "nan"]
    np.testing.assert_allclose(vectors.matrix, [[1 / 3, 2 / 3, 2 / 3], [0, 0.6, 0.8], [1, 0, 0]], rtol=1e-6)
    assert vectors.num_zero == 1
    assert load_glove(path, max_words=3).words == ["the", "NA"]


@pytest.mark.parametrize(
    "text",
    ["2 2\na 1 0\nb 0 1\n", "a 1 0 \nb 0 1 \n", "a 1 0\n. . 3 4\nb 0 1", "a 1 0\r\nb 0 1\r\n"],
    ids=["header", "trailing-space", "word-with-spaces", "windows"],
)
def test_glove_dialects(tmp_path, text):
    path = tmp_path / "vectors.txt"
    path.write_bytes(text.encode())
    assert load_glove(path).words == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"a 1 2\nb 1\nc 1 2\n", "line 2: 1 numbers where the first line has 2"),
        (b"a 1 2\nb 1 2\nc 1 2 3\n", "line 3: 3 numbers where the first line has 2"),
        (b"a 1 2\n\nc 1 2\n", "line 2: 0 numbers"),
        (b"a 1 2\nb 1 nan\n", "line 2: 'nan' is not a finite number"),
        (b"a 1 2\nb inf 1\n", "line 2: 'inf' is not a finite number"),
        (b"a 1 2\nb 1 x\n", "line 2: 'x' is not a finite number"),
        (b"a 1 2\n\xff 1 2\n", "line 2: not UTF-8"),
        (b"a\nb\n", "line 1: 'a' has no numbers"),
        (b". 1 2\n, 1 2\n", "none of its 2 words is made of letters"),
        (b"2 2\n", "is empty"),
    ],
)
def test_a_bad_glove_file_is_named_with_its_line(tmp_path, content, message):
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        load_glove(path)
    assert str(path) in str(error.value)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_glove_file_is_named(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        load_glove(tmp_path / "none.txt")
