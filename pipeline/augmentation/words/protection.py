"""Protected parts of a text, which augmentation never changes: a user's words and patterns, negations, markers."""

import re
import unicodedata
from collections.abc import Iterator

from pipeline.augmentation.words.script_and_case import is_han
from pipeline.augmentation.words.stopwords import NEGATIONS
from pipeline.config.augmenters import MARKERS
from pipeline.config.words import WordsConfig

MARKER = re.compile(MARKERS)  # [MASK], <mask>


class Protection:
    """Finds the protected parts of a text.

    Args:
        words: protected words and patterns, and the language of the negations.
    """

    def __init__(self, words: WordsConfig) -> None:
        self._words = words
        phrases = [re.compile(_bounded(phrase), re.IGNORECASE) for phrase in words.protect]
        self._patterns = [*phrases, *map(re.compile, words.protect_patterns)]
        self._negation = NEGATIONS[words.language] if words.negations else None

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return the (start, end) of each match of a user's words and patterns in the text as it was written."""
        return [match.span() for pattern in self._patterns for match in pattern.finditer(text)]

    def of(self, text: str) -> "Protection":
        """Return the protection of this text's matches, which holds even if its case and accents are changed."""
        if not self._patterns:
            return self
        matches = {text[start:end].strip() for start, end in self.spans(text)}
        phrases = sorted(filter(None, matches | set(map(_unaccented, matches))))
        return Protection(self._words.model_copy(update={"protect": tuple(phrases), "protect_patterns": ()}))

    def negates(self, word: str) -> bool:
        """Return whether a word is or contains a negation."""
        return self._negation is not None and self._negation.search(word) is not None

    def all_spans(self, text: str) -> list[tuple[int, int]]:
        """Return ``spans`` and those of the markers and negations."""
        others = [match.span() for found in (MARKER.finditer(text), self._negation_in(text)) for match in found]
        return self.spans(text) + others

    def kept(self, before: str, after: str) -> bool:
        """Return whether two texts have the same protected parts and markers, in the same order."""
        return self._found(before) == self._found(after)

    def _found(self, text: str) -> list[list[str]]:
        matches = [[match.group().casefold() for match in pattern.finditer(text)] for pattern in self._patterns]
        return [*matches, [match.group().casefold() for match in self._negation_in(text)], MARKER.findall(text)]

    def _negation_in(self, text: str) -> Iterator[re.Match[str]]:
        return self._negation.finditer(text) if self._negation else iter(())


def touches(span: tuple[int, int], spans: list[tuple[int, int]]) -> bool:
    """Return whether a span overlaps any of the others."""
    return any(span[0] < end and start < span[1] for start, end in spans)


def _unaccented(phrase: str) -> str:
    return "".join(part for part in unicodedata.normalize("NFD", phrase) if unicodedata.category(part) != "Mn")


def _bounded(phrase: str) -> str:
    """Return a pattern for a phrase as whole words: 'art' is not in 'start', but 北京 is in 我爱北京."""
    words = r"\s+".join(map(re.escape, phrase.split()))
    first, last = phrase.strip()[0], phrase.strip()[-1]
    before = "" if is_han(first) or not first.isalnum() else r"(?<!\w)"
    after = "" if is_han(last) or not last.isalnum() else r"(?!['\u2019]?\w)"
    return before + words + after
