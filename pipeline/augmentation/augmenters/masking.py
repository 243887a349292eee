"""Masking words (Tang et al. 2019, arXiv:1903.12136): a sentence with holes, for the teacher to judge."""

import numpy as np

from pipeline.augmentation.augmenters.seeded import SeededAug
from pipeline.augmentation.words.spans import WordSpans, replaced
from pipeline.config.words import WordsConfig


class MaskAug(SeededAug):
    """Replaces each word with probability ``probability`` by the mask token.

    Args:
        words: Which words stay.
        token: The mask token of the tokenizer that will read the text (``<mask>`` for RoBERTa).
        probability: p_mask, 0.1 in the paper.
        seed: Of the draws.
    """

    TOKEN = "[MASK]"  # noqa: S105 - of a text

    def __init__(
        self,
        words: WordsConfig | None = None,
        *,
        token: str = TOKEN,
        probability: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__(probability=probability, seed=seed, name="MaskAug")
        self.word_spans = WordSpans(words or WordsConfig())
        self._token = token

    def change(self, text: str, generator: np.random.Generator) -> str:
        """The text with some of its words masked."""
        free = [word.span for word in self.word_spans(text) if word.free]
        drawn = generator.random(len(free)) < self._probability
        return replaced(text, {span: self._token for span, yes in zip(free, drawn, strict=True) if yes})
