import inspect
from pathlib import Path

import nlpaug
import pytest

from pipeline.augmentation.augmenters.flow import STOCK as CLASSES
from pipeline.config.augmentation import AugmentationConfig
from pipeline.config.augmenters import AUGMENTERS, OWN, STOCK, children, normal
from pipeline.config.extras import require_extras
from pipeline.config.load import load_config, to_yaml
from pipeline.config.words import WordsConfig
from pipeline.config.yaml_text import read_yaml
from pipeline.errors import ConfigError

MINE = ("task.name=topics", "task.train=a.csv", "task.dev=a.csv", "teacher.model=bert", "corpus.paths=[a.txt]")


def load(listed: str):
    return load_config(None, [*MINE, f"augmentation.augmenters={listed}"]).augmentation


def test_the_default_is_the_papers():
    assert load_config(None, MINE).augmentation.augmenters == ({"tinybert": {}},)


def test_a_list_comes_back_as_it_was_written(tmp_path):
    written = "[{tinybert: {probability: 0.3}}, {keyboard: {aug_word_p: 0.2, lang: de}, rows: 0.1}, {ngram: {}}]"
    config = load_config(None, [*MINE, f"augmentation.augmenters={written}"])
    assert children(config.augmentation.augmenters) == (
        ("tinybert", {"probability": 0.3}, 1.0),
        ("keyboard", {"aug_word_p": 0.2, "lang": "de"}, 0.1),
        ("ngram", {}, 1.0),
    )
    path = tmp_path / "again.yaml"
    path.write_text(to_yaml(config))
    assert load_config(str(path), []) == config


def test_one_flow_has_one_form():
    first = normal(read_yaml("[{mask: null, rows: 1}, {rows: 0.5, split: {min_char: 5, aug_p: 0.1}}]", "it"))
    second = normal(read_yaml("[{mask: {}}, {split: {aug_p: 0.1, min_char: 5}, rows: 0.5}]", "it"))
    assert first == second
    assert [list(item.values()) for item in first] == [list(item.values()) for item in second]


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ("[{keybord: {}}]", "no augmenter 'keybord': choose one of tinybert, mask, same_pos, ngram, keyboard"),
        ("[{keyboard: {aug_wrod_p: 0.1}}]", "keyboard takes no 'aug_wrod_p': choose among aug_char_min"),
        ("[{split: {aug_p: 0.0}}]", "split.aug_p is 0.0, expected a share above 0"),
        ("[{mask: {probability: 1.5}}]", "mask.probability is 1.5, expected a share from 0 to 1"),
        ("[{mask: {}, rows: 2}]", "rows of mask is 2, expected a share"),
        ("[{mask: {}, ngram: {}}]", "names 2 augmenters: write one an item"),
        ("[{rows: 0.1}]", "names 0 augmenters"),
        ("[{random_word: {action: jump}}]", "random_word.action is 'jump', expected one of substitute, swap"),
        ("[{mask: {}}, {tinybert: {}}]", "tinybert comes first, and once"),
        ("[{tinybert: {}}, {tinybert: {}}]", "tinybert comes first, and once"),
        ("[{reserved: {}}]", "reserved needs reserved_tokens"),
        ("[{reserved: {reserved_tokens: [[a]]}}]", "expected a list of lists of two texts or more"),
        ("[{keyboard: {lang: xx}}]", "keyboard.lang is 'xx', expected one of de, en, es"),
        ("[{ngram: {longest: true}}]", "ngram.longest is True, expected a whole number above 0"),
        ("[{ngram: [1]}]", "expected a section of names and values"),
        ("[]", "the list is empty"),
        ("[keyboard]", "augmentation.augmenters.0 is 'keyboard', expected a section of names and values"),
    ],
)
def test_a_mistake_is_said_in_one_line(listed, said):
    with pytest.raises(ConfigError) as error:
        load(listed)
    assert said in str(error.value)
    assert "augmentation.augmenters" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", STOCK)
def test_the_arguments_are_those_nlpaug_takes(name):
    upstream = next(kind for kind in CLASSES[name].__mro__ if kind.__module__.startswith("nlpaug."))
    taken = set(inspect.signature(upstream).parameters)
    assert set(STOCK[name]) <= taken
    plumbing = {"name", "verbose", "tokenizer", "reverse_tokenizer"}
    files_and_more = {"model_path", "dict_path", "dict_of_path", "generate_all_combinations"}
    assert taken - plumbing - files_and_more - set(STOCK[name]) <= {"action"}


def test_every_keyboard_is_there():
    folder = Path(nlpaug.__file__).parent / "res" / "char" / "keyboard"
    assert STOCK["keyboard"]["lang"] == tuple(sorted(path.stem for path in folder.glob("*.json")))


@pytest.mark.parametrize(
    ("library", "change", "extra"),
    [
        ("jieba", {"words": WordsConfig(segmentation="jieba")}, "chinese"),
        ("textblob", {"augmenters": ({"same_pos": {}},)}, "pos"),
    ],
)
def test_what_is_not_installed_is_said_at_once(monkeypatch, library, change, extra):
    require_extras(AugmentationConfig())
    monkeypatch.setattr("pipeline.config.extras.find_spec", lambda name: None if name == library else name)
    with pytest.raises(ConfigError, match=rf"{library}, which is not installed: pip install .*\[{extra}\]"):
        require_extras(AugmentationConfig(**change))


def test_every_name_has_a_class():
    assert set(CLASSES) == set(STOCK)
    assert set(OWN) | set(STOCK) == set(AUGMENTERS)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("protect_patterns=['(']", "'(' is no regular expression"),
        ("protect_patterns=['a*']", "matches nothing at all as well"),
        ("protect=['']", "one of the words is empty"),
        ("language=klingon", "expected english, chinese or other"),
        ("segmentation=spacy", "'spacy' is no segmentation: expected tokenizer, jieba or module:function"),
        ("segmentation='my module:cut'", "expected tokenizer, jieba or module:function"),
    ],
)
def test_what_words_may_be(key, said):
    with pytest.raises(ConfigError) as error:
        load_config(None, [*MINE, f"augmentation.words.{key}"])
    assert said in str(error.value)
    assert "\n" not in str(error.value)
