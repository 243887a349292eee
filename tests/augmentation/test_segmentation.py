"""A segmenter of one's own: named by module and function, found or refused in one line."""

import sys

import pytest

from pipeline.augmentation.words.segmentation import own_code, segmenter
from pipeline.augmentation.words.spans import WordSpans
from pipeline.config.words import WordsConfig
from pipeline.errors import ConfigError

OWN = """
def by_two(text):
    return [text[at : at + 2] for at in range(0, len(text), 2)]

def losing(text):
    return [text[1:]]

def with_holes(text):
    return ["", text, ""]

number = 7
"""


@pytest.fixture(autouse=True)
def own_cutter(tmp_path, monkeypatch):
    (tmp_path / "own_cutter.py").write_text(OWN)
    (tmp_path / "broken_cutter.py").write_text("raise RuntimeError('no\\nlicence')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_cutter", raising=False)  # of the test before


def test_a_function_of_ones_own_cuts_chinese_and_nothing_else():
    words = WordsConfig(language="chinese", segmentation="own_cutter:by_two")
    assert WordSpans(words).spelled("电影很好看\uff0ciPhone 好") == ["电影", "很好", "看", "iPhone", "好"]
    assert segmenter("own_cutter:with_holes")("电影") == ["电影"]
    assert segmenter("tokenizer") is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_module:cut", "cannot be imported: No module named 'no_such_module': install the module, or put its"),
        ("own_cutter:absent", "cannot be imported: module 'own_cutter' has no attribute 'absent'"),
        ("broken_cutter:cut", "cannot be imported: no licence"),
        ("own_cutter:number", "'own_cutter:number' is no function"),
    ],
)
def test_what_cannot_be_imported_is_one_line(name, said):
    with pytest.raises(ConfigError) as error:
        segmenter(name)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_words_that_are_not_the_text_are_refused():
    with pytest.raises(ConfigError, match=r"cuts '电影' into .*: give words that joined are the text"):
        segmenter("own_cutter:losing")("电影")


def test_the_file_of_a_segmenter_is_named_and_read_again_when_it_was_edited(tmp_path):
    assert own_code("own_cutter:by_two") == (str(tmp_path / "own_cutter.py"),)
    assert own_code("jieba") == own_code("tokenizer") == ()
    (tmp_path / "own_cutter.py").write_text(OWN.replace("2", "3") + "# by three\n")
    assert segmenter("own_cutter:by_two")("电影很好看") == ["电影很", "好看"]


def test_the_folder_of_a_package_of_ones_own_is_named(tmp_path):
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package" / "__init__.py").write_text("def cut(text):\n    return [text]\n")
    assert own_code("own_package:cut") == (str(tmp_path / "own_package"),)
