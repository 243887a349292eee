"""Seeded randomness: nlpaug's augmenters draw from the random state of the process, ours from a generator.

Both are seeded for each variant, so that a variant is a function of the seed, its row and its number.
"""

import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from nlpaug.augmenter.word.word_augmenter import WordAugmenter
from nlpaug.util import Action

_LOCK = threading.RLock()  # the process has one state for all its threads


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Set the random state of the process to ``seed``, below 2**32, while the block runs, then restore it."""
    with _LOCK:
        state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - what nlpaug draws from
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(state)
            np.random.set_state(numpy_state)  # noqa: NPY002


class CaseBlind:
    """What nlpaug's flows ask of an augmenter; they pass texts and lists of one text."""

    @classmethod
    def is_duplicate(cls, dataset: Iterable[Any], data: Any) -> bool:
        """Return whether ``data`` is in ``dataset``, ignoring case."""
        return unwrapped(data).lower() in {unwrapped(other).lower() for other in dataset}


class SeededAug(CaseBlind, WordAugmenter, ABC):
    """An augmenter of texts that draws from its own generator; a subclass defines ``change``.

    nlpaug changes a number of words that it computes from a share (at least one, at most ten, 0.0 meaning 0.3); these
    augmenters draw for each word. ``num_thread`` has no effect: threads would make the draws depend on their timing.

    Args:
        probability: probability of changing a word, or a text.
        seed: seed of the draws; the same calls after the same seed give the same texts.
    """

    def __init__(self, *, probability: float, seed: int) -> None:
        super().__init__(action=Action.SUBSTITUTE, name=type(self).__name__, aug_p=probability)
        self._probability = probability
        self._generator = np.random.default_rng(seed)

    @abstractmethod
    def change(self, text: str, generator: np.random.Generator) -> str:
        """Return the text changed once, by the generator's randomness alone; the text itself if nothing was changed."""

    def substitute(self, data: str) -> str:
        """Return one draw; the text itself if nothing in it was changed."""
        return self.change(data, self._generator)

    def distinct(self, text: str, n: int) -> list[str]:
        """Return up to ``n`` distinct texts that differ from ``text``."""
        variants = {self.change(text, self._generator): None for _ in range(n)}
        variants.pop(text, None)
        return list(variants)

    def augment(self, data: str | list[str], n: int = 1, num_thread: int = 1) -> list[str]:  # noqa: ARG002
        """Return up to ``n`` distinct variants of a text, or one of each text of a list; the text if it has none."""
        if isinstance(data, list):
            return [self.substitute(text.strip()) for text in data]
        text = data.strip()
        return (self.distinct(text, n) or [text]) if text else []


def unwrapped(text: str | list[Any]) -> str:
    """Return the text that an nlpaug augmenter or flow made, without the lists around it; "" for an empty list."""
    while not isinstance(text, str):
        text = text[0] if text else ""
    return text
