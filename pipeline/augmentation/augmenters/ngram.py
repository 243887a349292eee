"""n-gram sampling (Tang et al. 2019, arXiv:1903.12136): a few words of a sentence in place of all of it."""

import numpy as np

from pipeline.augmentation.augmenters.seeded import SeededAug
from pipeline.augmentation.words.spans import WordSpans
from pipeline.config.words import WordsConfig


class NgramAug(SeededAug):
    """Keeps, with probability ``probability``, n words that follow one another, and nothing else.

    n is 1 to ``longest``, each as likely, and at most what the text has. Protected words are no
    exception: what is left of a text holds of it only this.

    Args:
        words: What a word is.
        probability: p_ng, 0.25 in the paper.
        longest: The largest n.
        seed: Of the draws.
    """

    def __init__(
        self, words: WordsConfig | None = None, *, probability: float = 0.25, longest: int = 5, seed: int = 0
    ) -> None:
        super().__init__(probability=probability, seed=seed, name="NgramAug")
        self.word_spans = WordSpans(words or WordsConfig())
        self._longest = longest

    def change(self, text: str, generator: np.random.Generator) -> str:
        """An n-gram of the text, or the text."""
        if generator.random() >= self._probability:
            return text
        spans = [word.span for word in self.word_spans(text)]
        size = int(generator.integers(1, self._longest + 1))
        if size >= len(spans):
            return text
        first = int(generator.integers(0, len(spans) - size + 1))
        return text[spans[first][0] : spans[first + size - 1][1]]
