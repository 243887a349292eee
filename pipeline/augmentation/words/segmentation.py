"""Word segmentation of Chinese, which writes no spaces.

A segmenter is a function from a string of Chinese characters to its words, which joined are the string.
"""

import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module, reload
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.augmentation.words.script_and_case import is_han
from pipeline.errors import ConfigError

Segment = Callable[[str], list[str]]


def segmenter(name: str) -> Segment | None:
    """Return a segmenter; None if each character is a word.

    Args:
        name: ``tokenizer`` for characters, ``jieba``, or ``module:function`` for the user's own segmenter.

    Raises:
        ConfigError: there is no such function; or, when it is called, its words joined are not the text.
    """
    if name == "tokenizer":
        return None
    return _jieba().lcut if name == "jieba" else _own(name)


def own_code(name: str) -> tuple[str, ...]:
    """Return the file of the user's own segmenter, or the folder of its package; empty for the others.

    Modules that it imports from elsewhere are not included.

    Raises:
        ConfigError: as ``segmenter``.
    """
    if ":" not in name:
        return ()
    segmenter(name)
    module = sys.modules[name.partition(":")[0]]
    return tuple(getattr(module, "__path__", ())) or ((module.__file__,) if module.__file__ else ())


def frequent_words(count: int = 20_000) -> list[str]:
    """Return the most frequent words of several characters in jieba's dictionary, the most frequent first."""
    counts: dict[str, int] = _jieba().FREQ
    words = [word for word, times in counts.items() if times and len(word) > 1 and all(map(is_han, word))]
    return sorted(words, key=lambda word: (-counts[word], word))[:count]


def _own(name: str) -> Segment:
    module, _, function = name.partition(":")
    try:
        cut = getattr(_up_to_date(module), function)
    except Exception as error:  # whatever a user's module does when it is imported
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ConfigError(
            f"augmentation.words.segmentation {name!r} cannot be imported: {reason}: install the module, or put its "
            "folder on PYTHONPATH"
        ) from error
    if not callable(cut):
        raise ConfigError(f"augmentation.words.segmentation {name!r} is no function: name one that cuts a text")

    def segment(text: str) -> list[str]:
        words = [word for word in cut(text) if word]
        if "".join(words) != text:
            raise ConfigError(
                f"augmentation.words.segmentation {name!r} cuts {text[:40]!r} into {words[:20]!r}: give words that "
                "joined are the text"
            )
        return words

    return segment


_imported: dict[str, tuple[int, int]] = {}


def _up_to_date(name: str) -> ModuleType:
    """Import a module; reload it if its file was edited since this process imported it."""
    module = import_module(name)
    if module.__file__ is not None:
        stat = Path(module.__file__).stat()
        stamp = (stat.st_mtime_ns, stat.st_size)
        if _imported.setdefault(name, stamp) != stamp:
            module, _imported[name] = reload(module), stamp
    return module


@cache
def _jieba() -> Any:
    from jieba import Tokenizer

    tokenizer = Tokenizer()
    # Its initialize() would leave a pickle of the dictionary in a folder that everybody may write to.
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer
