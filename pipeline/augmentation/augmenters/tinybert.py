"""TinyBERT's word substitution as an nlpaug augmenter, which can be combined with nlpaug's own in a flow.

A flow asks for one text at a time, but a masked LM is fast for many together. So ``prime`` the augmenter with the next
texts; then each ``substitute`` draws from candidates that are already computed.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np

from pipeline.augmentation.augmenters.seeded import SeededAug
from pipeline.augmentation.candidates.table import Candidates
from pipeline.augmentation.variants.draw import Drawn, distinct, draw_all

PRIMED = 1 << 14  # texts whose candidates are kept; with more, all are forgotten


class CandidateSource(Protocol):
    """A source of candidates: a ``CandidateTable``, or what it has written."""

    def build(self, texts: Iterable[str]) -> Mapping[str, Candidates]:
        """Return the candidates of every distinct text."""


class TinyBertAug(SeededAug):
    """Replaces each replaceable word with probability ``probability`` by one of its candidates.

    Args:
        table: source of the candidates.
        probability: probability of replacing a word (p_t).
        seed: seed of the draws; the same calls after the same seed give the same texts.
    """

    def __init__(self, table: CandidateSource, *, probability: float = 0.4, seed: int = 0) -> None:
        super().__init__(probability=probability, seed=seed)
        self._table = table
        self._primed: dict[str, Candidates] = {}

    def prime(self, texts: Iterable[str]) -> dict[str, Candidates]:
        """Compute the candidates of the texts that are not known yet, together; return all that are known."""
        if len(self._primed) > PRIMED:
            self._primed = {}
        self._primed.update(self._table.build(text for text in texts if text not in self._primed))
        return self._primed

    def candidates_of(self, text: str) -> Candidates:
        """Return the candidates of one text, computed now if necessary."""
        return self._primed[text] if text in self._primed else self.prime([text])[text]

    def draws(self, text: str, count: int, generator: np.random.Generator) -> Iterator[Drawn]:
        """Yield up to ``count`` distinct variants of a text, by the generator's randomness alone."""
        return distinct(text, self.draws_all(text, count, generator))

    def draws_all(self, text: str, count: int, generator: np.random.Generator) -> Iterator[Drawn]:
        """Yield ``count`` variants, of which some may be equal, or the text itself."""
        return draw_all(self.candidates_of(text), text, count, self._probability, generator)

    def change(self, text: str, generator: np.random.Generator) -> str:
        """Return one draw; the text itself if nothing in it was replaced."""
        made = next(self.draws(text.strip(), 1, generator), None)
        return text if made is None else made.text

    def distinct(self, text: str, n: int) -> list[str]:
        """Return up to ``n`` distinct variants."""
        return [made.text for made in self.draws(text, n, self._generator)]

    def augment(self, data: str | list[str], n: int = 1, num_thread: int = 1) -> list[str]:
        """Return up to ``n`` distinct variants of a text, or one of each text of a list, primed together."""
        if isinstance(data, list):
            self.prime(text.strip() for text in data)
        return super().augment(data, n, num_thread)
