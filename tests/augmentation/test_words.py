import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from pipeline.augmentation.words.vocabulary import word_vocabulary
from pipeline.augmentation.words.words import WordSplitter
from pipeline.config.words import WordsConfig
from pipeline.errors import ModelError

TEXTS = st.text(
    st.one_of(st.sampled_from("abcdefg TO.,'!é中😀\t\x00\n"), st.characters(exclude_categories=["Cs"])),
    max_size=60,
)
SHARED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SHARED
@given(TEXTS)
@pytest.mark.parametrize("kind", ["wordpiece", "byte_level"])
def test_pieces_are_those_the_tokenizer_gives(request, kind, text):
    tokenizer = request.getfixturevalue(kind)
    sentence = WordSplitter(tokenizer)(text)
    encoding = tokenizer(text, add_special_tokens=False)
    assert sentence.ids() == encoding["input_ids"]
    aligned = [at for at, pieces in enumerate(sentence.pieces) for _ in pieces]
    assert aligned == encoding.word_ids(0)


@SHARED
@given(TEXTS)
@pytest.mark.parametrize("kind", ["wordpiece", "byte_level"])
def test_putting_words_together_again_gives_the_same_words(request, kind, text):
    split = WordSplitter(request.getfixturevalue(kind))
    sentence = split(text)
    again = split(sentence.text())
    assert [word for word in again.words if word] == [word for word in sentence.words if word]


def test_a_sentence_keeps_its_spacing(wordpiece):
    sentence = WordSplitter(wordpiece)("It isn't  GOOD, is it?")
    assert sentence.words == ("it", "isn", "'", "t", "good", ",", "is", "it", "?")
    assert sentence.text() == "it isn't good, is it?"


def test_stop_words_numbers_punctuation_and_unknown_words_stay(wordpiece):
    split = WordSplitter(wordpiece)
    sentence = split("Not the Lazy dog no VERY 3d 42 , fox 中 😀 [MASK]")
    assert [sentence.words[at] for at in sentence.replaceable] == ["lazy", "dog", "fox"]


def test_a_mask_in_the_text_is_plain_text(wordpiece):
    assert wordpiece.mask_token_id not in WordSplitter(wordpiece)("a [MASK] b").ids()


@pytest.mark.parametrize("marker", ["[SEP]", "[PAD]", "<s>", "</s>", "<mask>", "[sep]"])
def test_the_name_of_a_special_token_is_no_word_to_replace(wordpiece, marker):
    sentence = WordSplitter(wordpiece)(f"lazy fox {marker} lovely {marker}lazy")
    assert {sentence.words[at] for at in sentence.replaceable} == {"lazy", "fox", "lovely"}


def test_capitals_survive_where_the_tokenizer_keeps_them(byte_level):
    sentence = WordSplitter(byte_level)("The Lovely fox, NOT lazy café")
    assert sentence.text() == "The Lovely fox, NOT lazy café"
    assert [sentence.words[at] for at in sentence.replaceable] == ["Lovely", "fox", "lazy", "café"]


def test_vocabulary_words_have_no_continuations_or_special_tokens(wordpiece):
    vocabulary = word_vocabulary(wordpiece)
    tokens = {index: token for token, index in wordpiece.get_vocab().items()}
    for index, word in enumerate(vocabulary.words):
        plain = tokens[index].isalpha()
        assert word == (tokens[index] if plain else None)
    assert sum(word is not None for word in vocabulary.words) > 30
    assert any(token.startswith("##") for token in tokens.values())


def test_a_marked_word_is_replaced_by_marked_tokens_only(byte_level):
    vocabulary = word_vocabulary(byte_level)
    known = byte_level.get_vocab()
    ids = [known["Ġlazy"], known["Ġthe"], known["a"], known["<mask>"], known["."]]
    assert set(vocabulary.propose(ids, "fox", True)) == {"lazy", "the"}
    assert vocabulary.propose(ids, "Lazy", True) == ("The",)
    assert vocabulary.propose(ids, "fox", False) == ("a",)


def test_a_tokenizer_without_words_is_refused():
    bare = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordPiece()))
    with pytest.raises(ModelError, match="does not split text into words"):
        WordSplitter(bare)


def replaceable(tokenizer, text, **words):
    sentence = WordSplitter(tokenizer, WordsConfig(**words))(text)
    return [sentence.words[at] for at in sentence.replaceable]


def test_negations_stay_unless_asked_otherwise(wordpiece):
    text = "never a dull film, without critics"
    assert replaceable(wordpiece, text) == ["dull", "film", "critics"]
    assert replaceable(wordpiece, text, negations=False) == ["never", "dull", "film", "without", "critics"]
    assert replaceable(wordpiece, text, language="other") == ["never", "a", "dull", "film", "without", "critics"]


@pytest.mark.parametrize("apostrophe", ["'", "\u2019"])
@pytest.mark.parametrize("kind", ["wordpiece", "byte_level"])
def test_a_negation_stays_that_a_treebank_cut_off(request, kind, apostrophe):
    """The film does n't work: its pieces are n, the apostrophe and t, of which ``n`` looks like a word."""
    tokenizer, text = request.getfixturevalue(kind), f"film does n{apostrophe}t lovely dog, n fox"
    assert replaceable(tokenizer, text) == ["film", "lovely", "dog", "n", "fox"]
    assert replaceable(tokenizer, text, negations=False) == ["film", "n", "lovely", "dog", "n", "fox"]


def test_what_must_not_go_does_not_come(wordpiece):
    proposed = ("good", "never", "not", "lovely")
    assert WordSplitter(wordpiece, WordsConfig()).admitted(proposed) == ("good", "lovely")
    assert WordSplitter(wordpiece, WordsConfig(negations=False)).admitted(proposed) == proposed


@pytest.mark.parametrize("kind", ["wordpiece", "byte_level"])
def test_protected_words_and_patterns_stay(request, kind):
    tokenizer = request.getfixturevalue(kind)
    text = "Lovely F\u00e9lix the fox, lazy fox 42 film of lazy Big  Dog"
    kept = replaceable(tokenizer, text, protect=("big dog", "FILM"), protect_patterns=("F.lix", r"(?<=lazy )fox"))
    assert [word.lower() for word in kept] == ["lovely", "fox", "lazy", "lazy"]
    assert len(replaceable(tokenizer, text)) == 9


@pytest.mark.parametrize("kind", ["wordpiece", "byte_level"])
def test_a_marker_in_the_text_shifts_no_protection(request, kind):
    tokenizer = request.getfixturevalue(kind)
    text = f"{tokenizer.mask_token} lovely Paris {tokenizer.unk_token} lazy fox"
    kept = replaceable(tokenizer, text, protect=("Paris", "lazy"))
    assert [word for word in kept if word not in {"mask", "unk"}] == ["lovely", "fox"]


def test_remembered_pieces_are_bounded(wordpiece, monkeypatch):
    monkeypatch.setattr("pipeline.augmentation.words.words.KNOWN", 3)
    split = WordSplitter(wordpiece)
    text = "lazy fox never acted in good films \u4e2d\u6587\u00e9\u0441"
    assert split(text) == split(text) == WordSplitter(wordpiece)(text)
    assert split._piece_ids.cache_info().currsize == split._is_padded.cache_info().currsize == 3


def test_names_are_found_by_their_capitals_even_by_an_uncased_tokenizer(wordpiece):
    assert replaceable(wordpiece, "lovely Paris film", protect_patterns=("[A-Z][a-z]+",)) == ["lovely", "film"]


@SHARED
@given(TEXTS, st.sampled_from(["english", "chinese", "other"]))
@pytest.mark.parametrize("kind", ["wordpiece", "byte_level"])
def test_no_text_is_too_odd(request, kind, text, language):
    tokenizer = request.getfixturevalue(kind)
    assert replaceable(tokenizer, text, language=language, protect_patterns=(r"\S",)) == []
    some = replaceable(tokenizer, text, language=language, protect=("\u4e2d",))
    assert some == [word for word in replaceable(tokenizer, text, language=language) if "\u4e2d" not in word]


def test_five_thousand_words_and_right_to_left(wordpiece, byte_level):
    text = "fox \u0633\u0644\u0627\u0645 \u05e9\u05dc\u05d5\u05dd " * 2000
    for tokenizer in (wordpiece, byte_level):
        sentence = WordSplitter(tokenizer, WordsConfig(protect=("cat",)))(text)
        assert len([word for word in sentence.words if word]) == 6000
        assert sentence.text() == text.strip()
    assert len(WordSplitter(wordpiece)(text).replaceable) == 2000  # its vocabulary has no Arabic or Hebrew
