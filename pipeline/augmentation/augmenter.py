"""TinyBERT's word substitution as an nlpaug augmenter, to stand in a flow beside nlpaug's own.

A flow asks for one text at a time; a masked LM wants many. So ``prime`` the augmenter with the texts to
come, and each ``substitute`` is a draw from candidates that are already there.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from nlpaug.augmenter.word.word_augmenter import WordAugmenter
from nlpaug.util import Action

from pipeline.augmentation.candidates import Candidates, CandidateTable
from pipeline.augmentation.variants import Drawn, draw


class TinyBertAug(WordAugmenter):
    """Replaces each replaceable word with probability ``probability`` by one of its candidates.

    Where nlpaug counts words from a share (at least one, at most ten, 0.0 meaning 0.3), this draws for each
    word as the paper does; where it takes global random state, this takes ``seed``.

    Args:
        table: Where candidates come from.
        probability: Of replacing a word (p_t).
        seed: Of the draws; the same calls after the same seed give the same texts.
    """

    def __init__(
        self,
        table: CandidateTable,
        *,
        probability: float = 0.4,
        seed: int = 0,
        name: str = "TinyBertAug",
        verbose: int = 0,
    ) -> None:
        super().__init__(action=Action.SUBSTITUTE, name=name, aug_p=probability, verbose=verbose)
        self._table = table
        self._probability = probability
        self._primed: dict[str, Candidates] = {}
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Start the draws again from ``seed``."""
        self._generator = np.random.default_rng(seed)

    def prime(self, texts: Iterable[str]) -> dict[str, Candidates]:
        """Compute the candidates of the texts that are not known yet, in batches; all that are known."""
        self._primed.update(self._table.build(text for text in texts if text not in self._primed))
        return self._primed

    def draws(self, text: str, count: int, generator: np.random.Generator) -> Iterator[Drawn]:
        """Up to ``count`` distinct variants of a text, with the generator's randomness alone."""
        if text not in self._primed:
            self.prime([text])
        return draw(self._primed[text], text, count, self._probability, generator)

    def substitute(self, data: str) -> str:
        """One draw; the text as it is, when nothing in it was replaced."""
        made = next(self.draws(data.strip(), 1, self._generator), None)
        return data if made is None else made.text

    def augment(self, data: str | list[str], n: int = 1, num_thread: int = 1) -> list[str]:  # noqa: ARG002
        """Up to ``n`` distinct variants of a text, or one of each text of a list.

        A text that has no variant comes back as it is. ``num_thread`` changes nothing: threads would make
        the draws depend on their timing.
        """
        if isinstance(data, list):
            self.prime(text.strip() for text in data)
            return [self.substitute(text.strip()) for text in data]
        if not data.strip():
            return []
        text = data.strip()
        return [made.text for made in self.draws(text, n, self._generator)] or [text]

    @classmethod
    def is_duplicate(cls, dataset: Iterable[Any], data: Any) -> bool:
        """Whether ``data`` is in ``dataset``, in any case; flows hand over texts and lists of one."""
        return _unwrapped(data) in {_unwrapped(other) for other in dataset}


def _unwrapped(text: str | list[Any]) -> str:
    while isinstance(text, list):
        text = text[0] if text else ""
    return text.lower()
