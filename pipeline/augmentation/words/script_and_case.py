"""Scripts and case of a word; a word that replaces it must have the same.

A vocabulary of many languages proposes Latin words for Chinese ones and the other way round, but a teacher cannot
judge a sentence in two scripts. A capitalised word begins a sentence or is a name, and so must its replacement.
"""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

HAN = "CJK"
_SPACELESS = frozenset({HAN, "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"})
_SAME = {"IDEOGRAPHIC": HAN, "KATAKANA-HIRAGANA": "KATAKANA"}


def is_word(text: str) -> bool:
    """Return whether a text consists of letters, and the marks with which many scripts write vowels."""
    if text.isascii() or text.isalpha():
        return text.isalpha()
    kinds = [unicodedata.category(character)[0] for character in text]
    return kinds[:1] == ["L"] and all(kind in "LM" for kind in kinds)


@lru_cache(maxsize=1 << 17)
def scripts(word: str) -> frozenset[str]:
    """Return the scripts of a word's letters, by the first word of their Unicode names (Han is ``CJK``)."""
    if word.isascii():
        return frozenset({"LATIN"} if word else ())
    return frozenset(_script(character) for character in word if unicodedata.category(character)[0] == "L")


@lru_cache(maxsize=1 << 16)
def is_han(character: str) -> bool:
    """Return whether a character is Chinese."""
    return _script(character) == HAN


def is_clause(word: str) -> bool:
    """Return whether a part of a text between two spaces is several words of a script that writes no spaces."""
    return len(word) > 1 and not word.isascii() and not _SPACELESS.isdisjoint(scripts(word))


def like(word: str, other: str) -> str:
    """Return ``other`` in the case of ``word``, if that is capitalised or in capitals; a name keeps its capital."""
    if len(word) > 1 and word.isupper():
        return other.upper()
    return other[:1].upper() + other[1:] if word[:1].isupper() else other


def fitting(word: str, others: Iterable[str | None]) -> tuple[str, ...]:
    """Return the words that may replace ``word``: those in its scripts, in its case, each once, without itself."""
    alike = (like(word, other) for other in others if other and scripts(other) == scripts(word))
    return tuple(dict.fromkeys(other for other in alike if other.casefold() != word.casefold()))


def _script(character: str) -> str:
    first = unicodedata.name(character, "").partition(" ")[0]
    return _SAME.get(first, first)
