"""Word segmentation of scripts that write no spaces: where in a stretch of Chinese the words end."""

from collections.abc import Callable
from functools import cache
from typing import Any, Literal

from pipeline.augmentation.spelling import is_han

Segment = Callable[[str], list[str]]


def segmenter(name: Literal["tokenizer", "jieba"]) -> Segment | None:
    """What cuts a stretch of Chinese characters into words; None leaves each character a word."""
    return None if name == "tokenizer" else _jieba().lcut


def frequent_words(count: int = 20_000) -> list[str]:
    """The most frequent words of several characters that jieba knows, the most frequent first."""
    counts: dict[str, int] = _jieba().FREQ
    words = [word for word, times in counts.items() if times and len(word) > 1 and all(map(is_han, word))]
    return sorted(words, key=lambda word: (-counts[word], word))[:count]


@cache
def _jieba() -> Any:
    from jieba import Tokenizer

    tokenizer = Tokenizer()
    # its own way leaves a pickle of the dictionary in a folder that everybody may write to
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer
