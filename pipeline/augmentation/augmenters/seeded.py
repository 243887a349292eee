"""Randomness that a seed decides: nlpaug's own augmenters draw from the process's, ours from a generator.

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
    """The process's random state set to ``seed``, below 2**32, inside, and put back as it was after."""
    with _LOCK:
        state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - what nlpaug draws from
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(state)
            np.random.set_state(numpy_state)  # noqa: NPY002


class SeededAug(WordAugmenter, ABC):
    """An augmenter of texts that draws from a generator of its own; it says how in ``change``.

    Where nlpaug counts words from a share (at least one, at most ten, 0.0 meaning 0.3), its children draw
    for each word. ``num_thread`` changes nothing: threads would make the draws depend on their timing.

    Args:
        probability: Of changing a word, or a text, as the augmenter says.
        seed: Of the draws; the same calls after the same seed give the same texts.
    """

    def __init__(self, *, probability: float, seed: int, name: str, verbose: int = 0) -> None:
        super().__init__(action=Action.SUBSTITUTE, name=name, aug_p=probability, verbose=verbose)
        self._probability = probability
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Start the draws again from ``seed``."""
        self._generator = np.random.default_rng(seed)

    @abstractmethod
    def change(self, text: str, generator: np.random.Generator) -> str:
        """The text changed once, with the generator's randomness alone; the text itself when nothing was."""

    def substitute(self, data: str) -> str:
        """One draw; the text as it is, when nothing in it was changed."""
        return self.change(data, self._generator)

    def distinct(self, text: str, n: int) -> list[str]:
        """Up to ``n`` distinct texts that differ from ``text``."""
        found = {self.change(text, self._generator): None for _ in range(n)}
        found.pop(text, None)
        return list(found)

    def augment(self, data: str | list[str], n: int = 1, num_thread: int = 1) -> list[str]:  # noqa: ARG002
        """Up to ``n`` distinct variants of a text, or one of each text of a list.

        A text that has no variant comes back as it is.
        """
        if isinstance(data, list):
            return [self.substitute(text.strip()) for text in data]
        text = data.strip()
        return (self.distinct(text, n) or [text]) if text else []

    @classmethod
    def is_duplicate(cls, dataset: Iterable[Any], data: Any) -> bool:
        """Whether ``data`` is in ``dataset``, in any case; flows hand over texts and lists of one."""
        return unwrapped(data).lower() in {unwrapped(other).lower() for other in dataset}


def unwrapped(text: str | list[Any]) -> str:
    """The text in what an nlpaug augmenter or flow gave: a text, or lists around one; empty for an empty one."""
    while not isinstance(text, str):
        text = text[0] if text else ""
    return text
