"""How a word is written: its scripts and its case, which a word put in its place must share.

A vocabulary of many languages proposes Latin words for Chinese ones and the other way round; a sentence
in two scripts is garbage to the teacher. A capitalised word begins a sentence or is a name, and so must
the word in its place look.
"""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

HAN = "CJK"
_SPACELESS = frozenset({HAN, "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"})
_SAME = {"IDEOGRAPHIC": HAN, "KATAKANA-HIRAGANA": "KATAKANA"}


def is_word(text: str) -> bool:
    """Letters, with the marks that many scripts write their vowels with, and nothing else."""
    if text.isascii() or text.isalpha():
        return text.isalpha()
    kinds = [unicodedata.category(character)[0] for character in text]
    return kinds[:1] == ["L"] and all(kind in "LM" for kind in kinds)


@lru_cache(maxsize=1 << 17)
def scripts(word: str) -> frozenset[str]:
    """The scripts of a word's letters, by the first word of their Unicode names (Han is ``CJK``)."""
    if word.isascii():
        return frozenset({"LATIN"} if word else ())
    return frozenset(_script(character) for character in word if unicodedata.category(character)[0] == "L")


@lru_cache(maxsize=1 << 16)
def is_han(character: str) -> bool:
    """Whether a character is a Chinese one."""
    return _script(character) == HAN


def is_clause(word: str) -> bool:
    """Whether what stands between two spaces is no word, but a stretch of a script that writes without them."""
    return len(word) > 1 and not word.isascii() and not _SPACELESS.isdisjoint(scripts(word))


def like(word: str, other: str) -> str:
    """``other`` in the case of ``word``: capitalised or in capitals where it is.

    A word in lower case leaves ``other`` as it is: a name keeps its capital.
    """
    if len(word) > 1 and word.isupper():
        return other.upper()
    return other[:1].upper() + other[1:] if word[:1].isupper() else other


def fitting(word: str, others: Iterable[str | None]) -> tuple[str, ...]:
    """Those of ``others`` that may stand in place of ``word``: in its scripts and case, each once, not itself."""
    wanted, own = scripts(word), word.casefold()
    alike = (like(word, other) for other in others if other and scripts(other) == wanted)
    return tuple(dict.fromkeys(other for other in alike if other.casefold() != own))


def _script(character: str) -> str:
    first = unicodedata.name(character, "").partition(" ")[0]
    return _SAME.get(first, first)
