"""TinyBERT's word substitution as an nlpaug augmenter, to stand in a flow beside nlpaug's own.

A flow asks for one text at a time; a masked LM wants many. So ``prime`` the augmenter with the texts to
come, and each ``substitute`` is a draw from candidates that are already there.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np

from pipeline.augmentation.augmenters.seeded import SeededAug
from pipeline.augmentation.candidates.table import Candidates
from pipeline.augmentation.variants.draw import Drawn, draw, draw_all

PRIMED = 1 << 14  # texts; those primed before are forgotten when there are more


class CandidateSource(Protocol):
    """Where candidates come from: a ``CandidateTable``, or what one wrote."""

    def build(self, texts: Iterable[str]) -> Mapping[str, Candidates]:
        """The candidates of every distinct text."""


class TinyBertAug(SeededAug):
    """Replaces each replaceable word with probability ``probability`` by one of its candidates.

    Args:
        table: Where candidates come from.
        probability: Of replacing a word (p_t).
        seed: Of the draws; the same calls after the same seed give the same texts.
    """

    def __init__(self, table: CandidateSource, *, probability: float = 0.4, seed: int = 0) -> None:
        super().__init__(probability=probability, seed=seed)
        self._table = table
        self._primed: dict[str, Candidates] = {}

    def prime(self, texts: Iterable[str]) -> dict[str, Candidates]:
        """Compute the candidates of the texts that are not known yet, in batches; these, and others that are known."""
        if len(self._primed) > PRIMED:
            self._primed = {}
        self._primed.update(self._table.build(text for text in texts if text not in self._primed))
        return self._primed

    def candidates_of(self, text: str) -> Candidates:
        """Those of one text, computed now if need be."""
        return self._primed[text] if text in self._primed else self.prime([text])[text]

    def draws(self, text: str, count: int, generator: np.random.Generator) -> Iterator[Drawn]:
        """Up to ``count`` distinct variants of a text, with the generator's randomness alone."""
        return draw(self.candidates_of(text), text, count, self._probability, generator)

    def draws_all(self, text: str, count: int, generator: np.random.Generator) -> Iterator[Drawn]:
        """``draws`` before equal ones are dropped: as many as asked for, some of them the text itself."""
        return draw_all(self.candidates_of(text), text, count, self._probability, generator)

    def change(self, text: str, generator: np.random.Generator) -> str:
        """One draw; the text as it is, when nothing in it was replaced."""
        made = next(self.draws(text.strip(), 1, generator), None)
        return text if made is None else made.text

    def distinct(self, text: str, n: int) -> list[str]:
        """Up to ``n`` distinct variants."""
        return [made.text for made in self.draws(text, n, self._generator)]

    def augment(self, data: str | list[str], n: int = 1, num_thread: int = 1) -> list[str]:
        """Up to ``n`` distinct variants of a text, or one of each text of a list, whose candidates go together."""
        if isinstance(data, list):
            self.prime(text.strip() for text in data)
        return super().augment(data, n, num_thread)
