"""What augmentation must leave alone in a text: a user's words and patterns, and a language's negations."""

import re
import unicodedata
from collections.abc import Iterator

from pipeline.augmentation.words.script_and_case import is_han
from pipeline.augmentation.words.stopwords import NEGATIONS
from pipeline.config.augmenters import MARKERS
from pipeline.config.words import WordsConfig

MARKER = re.compile(MARKERS)  # [MASK], <mask>


class Protection:
    """Finds the stretches of a text that stay.

    Args:
        words: Which words and patterns, in which language.
    """

    def __init__(self, words: WordsConfig) -> None:
        self._words = words
        phrases = [re.compile(_bounded(phrase), re.IGNORECASE) for phrase in words.protect]
        self._asked = [*phrases, *map(re.compile, words.protect_patterns)]
        self._negation = NEGATIONS[words.language] if words.negations else None

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where a user's words and patterns match in the text as its user wrote it."""
        return [match.span() for pattern in self._asked for match in pattern.finditer(text)]

    def of(self, text: str) -> "Protection":
        """The protection of what a text holds, whatever becomes of its case and accents on the way."""
        if not self._asked:
            return self
        found = {text[start:end].strip() for start, end in self.spans(text)}
        phrases = sorted(filter(None, found | set(map(_unaccented, found))))
        return Protection(self._words.model_copy(update={"protect": tuple(phrases), "protect_patterns": ()}))

    def negates(self, word: str) -> bool:
        """Whether a word negates, or holds what does."""
        return self._negation is not None and self._negation.search(word) is not None

    def all_spans(self, text: str) -> list[tuple[int, int]]:
        """``spans``, the markers and the negations too."""
        others = [match.span() for found in (MARKER.finditer(text), self._negation_in(text)) for match in found]
        return self.spans(text) + others

    def kept(self, before: str, after: str) -> bool:
        """Whether everything protected in one text, and every marker, is, in the same order, in the other."""
        return self._found(before) == self._found(after)

    def _found(self, text: str) -> list[list[str]]:
        asked = [[match.group().casefold() for match in pattern.finditer(text)] for pattern in self._asked]
        return [*asked, [match.group().casefold() for match in self._negation_in(text)], MARKER.findall(text)]

    def _negation_in(self, text: str) -> Iterator[re.Match[str]]:
        return self._negation.finditer(text) if self._negation else iter(())


def touches(span: tuple[int, int], spans: list[tuple[int, int]]) -> bool:
    """Whether a stretch and one of the others have a character in common."""
    return any(span[0] < end and start < span[1] for start, end in spans)


def _unaccented(phrase: str) -> str:
    return "".join(part for part in unicodedata.normalize("NFD", phrase) if unicodedata.category(part) != "Mn")


def _bounded(phrase: str) -> str:
    """A phrase as a pattern: 'art' is not in 'start', but 北京 is in 我爱北京."""
    words = r"\s+".join(map(re.escape, phrase.split()))
    first, last = phrase.strip()[0], phrase.strip()[-1]
    before = "" if is_han(first) or not first.isalnum() else r"(?<!\w)"
    after = "" if is_han(last) or not last.isalnum() else r"(?!['\u2019]?\w)"
    return before + words + after
