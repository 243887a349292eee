"""Masking, same part of speech, n-grams: how often, what, and what stays."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nlpaug.augmenter.char import KeyboardAug

import pipeline.augmentation
from pipeline.augmentation import MaskAug, NgramAug, SamePosAug, Sequential, Sometimes, TinyBertAug
from pipeline.augmentation.augmenters.seeded import seeded
from pipeline.augmentation.augmenters.tang2019 import count_tags, textblob_tags
from pipeline.augmentation.words.spans import WordSpans, replaced
from pipeline.config.words import WordsConfig

TEXT = "A gripping movie, beautifully acted and never dull!"
LONG = "lazy dogs chase foxes " * 2000


def letters(words):
    """A tagger for tests: a word's tag is its length."""
    return [str(len(word)) for word in words]


def spelled(text, config=None):
    return [text[slice(*word.span)] for word in WordSpans(config or WordsConfig())(text)]


def test_the_public_face_is_nlpaugs():
    for name in pipeline.augmentation.__all__:
        assert callable(getattr(pipeline.augmentation, name).augment)
    assert any(base.__module__.startswith("nlpaug") for base in TinyBertAug.__mro__)
    with pytest.raises(AttributeError, match="no attribute Nothing"):
        _ = pipeline.augmentation.Nothing


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEXT, ["A", "gripping", "movie", "beautifully", "acted", "and", "never", "dull"]),
        ("isn't it well-known? [MASK] <mask> 3d", ["isn't", "it", "well-known", "[MASK]", "<mask>", "3d"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("我看iPhone电影", ["我", "看", "iPhone", "电", "影"]),
        ("😀 - '' \x00", []),
    ],
)
def test_words_of_a_text(text, words):
    assert spelled(text) == words


@given(st.text())
def test_words_lie_side_by_side_and_can_be_put_back(text):
    spans = [word.span for word in WordSpans(WordsConfig())(text)]
    assert all(start < end for start, end in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert replaced(text, {span: text[slice(*span)] for span in spans}) == text


def test_each_word_is_masked_with_the_probability():
    made = MaskAug(probability=0.1, seed=3).substitute(LONG)
    assert made.split().count("[MASK]") / 8000 == pytest.approx(0.1, abs=0.01)
    assert MaskAug(probability=1.0).substitute(TEXT) == "[MASK] [MASK] [MASK], [MASK] [MASK] [MASK] never [MASK]!"
    assert MaskAug(probability=0.0).substitute(TEXT) == TEXT
    other = MaskAug(WordsConfig(protect=("movie",), negations=False), token="<mask>", probability=1.0)  # noqa: S106 - of a text
    assert other.substitute("A movie, never [MASK]") == "<mask> movie, <mask> [MASK]"


def test_an_ngram_is_kept_with_the_probability_and_is_one_of_the_texts():
    aug = NgramAug(probability=0.25, longest=5, seed=1)
    text = " ".join(f"w{number}" for number in range(40))
    made = [aug.substitute(text) for _ in range(4000)]
    kept = [other for other in made if other != text]
    assert len(kept) / 4000 == pytest.approx(0.25, abs=0.03)
    assert all(other in text for other in kept)
    sizes = [len(other.split()) for other in kept]
    assert set(sizes) == {1, 2, 3, 4, 5}
    assert min(map(sizes.count, range(1, 6))) / len(kept) > 0.15
    assert len({other.split()[0] for other in kept}) > 35
    assert NgramAug(probability=1.0, longest=1).substitute("fox") == "fox"
    assert NgramAug(probability=1.0).substitute(" !? ") == " !? "


def test_a_word_is_replaced_by_one_of_its_tag_as_often_as_that_was_met():
    texts = ["red cat", "dog dog", "dog sits", "cat runs", "Dog 42 !"]
    tags = count_tags(texts, WordsConfig(), letters)
    assert tags == {"3": {"cat": 2, "dog": 4, "red": 1}, "4": {"runs": 1, "sits": 1}}
    aug = SamePosAug(tags, tagger=letters, probability=1.0, seed=2)
    made = [aug.substitute("red") for _ in range(3000)]
    assert made.count("dog") / 3000 == pytest.approx(4 / 6, abs=0.04)
    assert made.count("cat") / 3000 == pytest.approx(2 / 6, abs=0.04)
    assert {aug.substitute("dog") for _ in range(200)} == {"cat", "red"}
    assert {aug.substitute("The CAT Sits.") for _ in range(50)} >= {"Dog DOG Runs.", "Red RED Runs."}
    assert {aug.substitute("hippopotamus, not [MASK]") for _ in range(5)} == {"hippopotamus, not [MASK]"}


def test_each_word_is_replaced_with_the_probability():
    tags = count_tags([LONG], WordsConfig(), letters)
    made = SamePosAug(tags, tagger=letters, probability=0.1, seed=1).substitute(LONG).split()
    differing = sum(one != other for one, other in zip(made, LONG.split(), strict=True))
    assert differing / 8000 == pytest.approx(0.1, abs=0.01)


def test_textblob_tags_english():
    pytest.importorskip("textblob")
    assert textblob_tags(["the", "quick", "dog", "runs"]) == ["DT", "JJ", "NN", "VBZ"]
    assert textblob_tags([]) == []
    tags = count_tags(["the quick dog runs", "a lazy fox sleeps"], WordsConfig())
    made = SamePosAug(tags, probability=1.0).substitute("the quick dog runs")
    assert made == "a lazy fox sleeps"


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    "make", [MaskAug, NgramAug, lambda **given: SamePosAug({"5": {"actor": 1}}, tagger=letters, **given)]
)
def test_they_work_beside_stock_augmenters(make, first):
    def run():
        with seeded(4):
            aug, stock = make(seed=1, probability=0.5), KeyboardAug(aug_char_max=1)
            flow = Sequential([Sometimes([aug], aug_p=0.8), stock] if first else [stock, Sometimes([aug], aug_p=0.8)])
            return [flow.augment(TEXT, n=5), flow.augment([TEXT, "", "fox"])]

    made = run()
    assert made == run()
    assert 3 <= len(made[0]) == len(set(made[0])) <= 5
    assert TEXT not in made[0]
    assert len(made[1]) == 3
    assert made[1][1] == ""


@settings(max_examples=200, deadline=None)
@given(st.text(), st.integers(0, 5))
def test_no_text_is_too_odd(text, seed):
    tags = {str(size): {"x" * size: 1, "影" * size: 1} for size in range(1, 9)}
    for aug in (
        MaskAug(probability=0.6, seed=seed),
        NgramAug(probability=1.0, seed=seed),
        SamePosAug(tags, tagger=letters, probability=0.9, seed=seed),
    ):
        made = aug.augment(text, n=3)
        assert len(made) <= 3
        assert bool(made) == bool(text.strip())
        assert np.all([isinstance(other, str) for other in made])
