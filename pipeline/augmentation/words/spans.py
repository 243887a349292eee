"""Find the words of a plain text, for augmenters that need no tokenizer: runs of letters and digits.

Words are replaced in place, so everything between them stays as it was written. A marker such as ``[MASK]`` is one
word. Chinese is cut by the configured segmenter; without one, each character is a word.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from pipeline.augmentation.words.protection import MARKER, Protection, touches
from pipeline.augmentation.words.script_and_case import is_han
from pipeline.augmentation.words.segmentation import segmenter
from pipeline.config.words import WordsConfig

Span = tuple[int, int]
_SHAPE = re.compile("w+(?:-w+)*")


class WordSpan(NamedTuple):
    """A word of a text.

    Attributes:
        span: index of its first character, and of the one after its last.
        free: whether it may be replaced.
    """

    span: Span
    free: bool


class WordSpans:
    """Finds the words of a text, and which of them are protected.

    Args:
        words: language, segmenter, protected words and patterns.

    Attributes:
        protection: decides which words may not be replaced; may be exchanged for the protection of one text.
    """

    def __init__(self, words: WordsConfig) -> None:
        self._segment = segmenter(words.segmentation) or list
        self.protection = Protection(words)

    def __call__(self, text: str) -> list[WordSpan]:
        """Return the words of a text in order; markers and protected words are not free."""
        markers = [match.span() for match in MARKER.finditer(text)]
        kept = [*markers, *self.protection.all_spans(text)]
        shape = "".join(map(_kind, text))
        spans = [span for match in _SHAPE.finditer(shape) for span in self._cut(match.span(), text)]
        words = [span for span in spans if not touches(span, markers)]
        return [WordSpan(span, not touches(span, kept)) for span in sorted([*words, *markers])]

    def spelled(self, text: str) -> list[str]:
        """Return the words of a text as they are written in it."""
        return [text[slice(*word.span)] for word in self(text)]

    def _cut(self, span: Span, text: str) -> Iterator[Span]:
        at, end = span
        if text[at:end].isascii():
            yield span
            return
        for han, characters in groupby(text[at:end], key=is_han):
            part = "".join(characters)
            for piece in self._segment(part) if han else [part]:
                yield at, at + len(piece)
                at += len(piece)


class Pieces:
    """Cuts a text into pieces that nlpaug's own augmenters may change, and joins them again.

    nlpaug cuts at every character that is no letter and guesses the spaces afterwards: ``don't`` comes back as
    ``don ' t``, and Chinese with spaces around its commas. Here a piece is what stands between two spaces; in Chinese,
    which has none, it is a word with what follows it up to the next one.

    Args:
        words: the language, and how Chinese is cut into words.
    """

    def __init__(self, words: WordsConfig) -> None:
        self._word_spans = WordSpans(words) if words.language == "chinese" else None

    def cut(self, text: str) -> list[str]:
        """Return the pieces, none of them empty; in Chinese they are the whole text, otherwise without its spaces."""
        if self._word_spans is None:
            return text.split()
        starts = [word.span[0] for word in self._word_spans(text)[1:]]
        bounds = zip([0, *starts], [*starts, len(text)], strict=True)
        return [text[start:end] for start, end in bounds if start < end]

    def join(self, pieces: Sequence[str]) -> str:
        """Return the text that the pieces make."""
        return (" " if self._word_spans is None else "").join(pieces)


def replaced(text: str, changes: Mapping[Span, str]) -> str:
    """Return the text with some spans replaced.

    Args:
        text: the text.
        changes: (start, end) -> the new word; spans do not overlap.
    """
    parts, done = [], 0
    for (start, end), word in sorted(changes.items()):
        parts += [text[done:start], word]
        done = end
    return "".join([*parts, text[done:]])


@lru_cache(maxsize=1 << 16)
def _kind(character: str) -> str:
    """Return ``w`` for a letter, mark or digit, ``-`` for an apostrophe or hyphen within words, else a space."""
    if character in "'\u2019-":
        return "-"
    return "w" if unicodedata.category(character)[0] in "LMN" else " "
