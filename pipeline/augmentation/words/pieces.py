"""A text as pieces that nlpaug's own augmenters may change, and the text again.

Upstream cuts at every character that is no letter and guesses the spaces afterwards: ``don't`` comes back as
``don ' t``, and Chinese with spaces around its commas. Here a piece is what stands between two spaces; in Chinese,
which has none, it is a word with what follows it up to the next one.
"""

from collections.abc import Sequence

from pipeline.augmentation.words.spans import WordSpans
from pipeline.config.words import WordsConfig


class Pieces:
    """Cuts texts and joins what became of their pieces.

    Args:
        words: The language, and how Chinese is cut.
    """

    def __init__(self, words: WordsConfig) -> None:
        self._word_spans = WordSpans(words) if words.language == "chinese" else None

    def cut(self, text: str) -> list[str]:
        """The pieces, none of them empty; of Chinese they are the whole text."""
        if self._word_spans is None:
            return text.split()
        starts = [word.span[0] for word in self._word_spans(text)[1:]]
        bounds = zip([0, *starts], [*starts, len(text)], strict=True)
        return [text[start:end] for start, end in bounds if start < end]

    def join(self, pieces: Sequence[str]) -> str:
        """One text of pieces."""
        return (" " if self._word_spans is None else "").join(pieces)
