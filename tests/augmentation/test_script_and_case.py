import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.augmentation.words.protection import BY_LANGUAGE, NEGATIONS, Protection, touches
from pipeline.augmentation.words.script_and_case import fitting, is_clause, is_han, is_word, like, scripts
from pipeline.config.words import WordsConfig


@pytest.mark.parametrize("word", ["film", "Äpfel", "电影", "хлеб", "हिन्दी", "ภาษา", "سلام", "שלום", "cafe\u0301"])
def test_letters_and_their_marks_are_words(word):
    assert is_word(word)


@pytest.mark.parametrize("text", ["", "42", "3d", "a-b", "'s", "!", "😀", "\u0301", "a b", "x²"])
def test_other_things_are_none(text):
    assert not is_word(text)


def test_scripts_are_told_apart():
    words = ["film", "电影", "хлеб", "ελλάς", "שלום", "سلام", "हिन्दी", "ひら", "カタ", "한국"]
    assert len({scripts(word) for word in words}) == len(words)
    assert scripts("Ärger") == scripts("abc")
    assert scripts("T恤") == scripts("a") | scripts("恤")
    assert is_han("々")
    assert not is_han("ひ")


@pytest.mark.parametrize(
    ("text", "clause"), [("电影", True), ("电", False), ("ภาษา", True), ("ab", False), ("한국", False)]
)
def test_a_stretch_without_spaces_is_a_clause(text, clause):
    assert is_clause(text) == clause


@pytest.mark.parametrize(
    ("word", "other", "made"),
    [
        ("Lovely", "good", "Good"),
        ("LOVELY", "good", "GOOD"),
        ("lovely", "Paris", "Paris"),
        ("I", "we", "We"),
        ("Élan", "été", "Été"),
        ("iPhone", "phone", "phone"),
        ("电", "影", "影"),
    ],
)
def test_a_word_takes_the_case_of_the_one_it_replaces(word, other, made):
    assert like(word, other) == made


@given(st.text(min_size=1), st.lists(st.text() | st.none()))
def test_what_fits_is_of_the_same_scripts_and_not_the_word(word, others):
    found = fitting(word, others)
    assert len(set(found)) == len(found)
    assert all(scripts(other.lower()) == scripts(word.lower()) or scripts(other) != scripts(word) for other in found)
    assert word not in found
    assert all(other for other in found)


def test_no_mixed_scripts():
    others = ["movie", "Film", "影", None, "电影", "кино", "FILM", "film"]
    assert fitting("film", others) == ("movie",)
    assert fitting("戏", others) == ("影", "电影")
    assert fitting("Show", others) == ("Movie", "Film", "FILM")


def test_protected_words_and_phrases_are_found_in_any_case():
    protection = Protection(
        WordsConfig(protect=("new york", "art", "北京"), protect_patterns=(r"\d+ ?km", "[A-Z]{2,}"))
    )
    text = "The ART of start in New  York, 5 km from 我爱北京天安门 by NASA"
    assert [text[slice(*span)] for span in protection.spans(text)] == [
        "New  York",
        "ART",
        "北京",
        "5 km",
        "ART",
        "NASA",
    ]
    assert touches((4, 6), [(5, 9)])
    assert not touches((4, 5), [(5, 9)])


@pytest.mark.parametrize("text", ["It is NOT good", "they don't go", "never again", "cannot be", "without it"])
def test_english_negations_are_protected(text):
    protection = Protection(WordsConfig())
    assert not protection.kept(text, "They go")
    assert protection.kept(text, text.upper())
    assert Protection(WordsConfig(negations=False)).kept(text, "They go")
    assert not any(map(protection.negates, ["nothingness", "knot", "note", "another"]))


def test_chinese_negations_are_protected_within_words_too():
    protection = Protection(WordsConfig(language="chinese"))
    assert all(map(protection.negates, ["不", "不错", "没有", "无法", "别", "并非"]))
    assert not any(map(protection.negates, ["特别", "别的", "非常", "电影", "区别"]))


def test_another_language_brings_nothing():
    protection = Protection(WordsConfig(language="other"))
    assert not protection.negates("not")
    assert BY_LANGUAGE["other"] == frozenset()
    assert NEGATIONS["other"] is None
