"""Replacing words by others of the same part of speech (Tang et al. 2019, arXiv:1903.12136).

The words come from a lexicon: how often each word of the task's rows bears each tag. A tagger is any
function from words to as many tags.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from pipeline.augmentation.augmenters.seeded import SeededAug
from pipeline.augmentation.words.script_and_case import is_word, like, scripts
from pipeline.augmentation.words.spans import WordSpans, replaced
from pipeline.config.words import WordsConfig

Tagger = Callable[[Sequence[str]], Sequence[str]]
Tags = Mapping[str, Mapping[str, int]]  # tag -> word -> how often


class _Words(NamedTuple):
    """The words of a tag, in alphabetical order, and how often they and those before them were met."""

    spelled: list[str]
    upto: list[int]


def _in_line(met: Mapping[str, int]) -> _Words:
    spelled = sorted(met)
    return _Words(spelled, list(accumulate(met[word] for word in spelled)))


def textblob_tags(words: Sequence[str]) -> list[str]:
    """The Penn Treebank tags of English words, by textblob's own lexicon and rules."""
    from textblob.en import parser

    return [tag for _, tag in parser.find_tags(list(words))] if words else []


def count_tags(texts: Iterable[str], words: WordsConfig, tagger: Tagger = textblob_tags) -> dict[str, dict[str, int]]:
    """How often each word bears each tag; words that are not all letters are left out.

    Args:
        texts: Read once.
        words: What a word is.
        tagger: Tags the words of one text at a time.
    """
    word_spans = WordSpans(words)
    counts: Counter[tuple[str, str]] = Counter()
    for text in texts:
        spelled = word_spans.spelled(text)
        counts.update(zip(tagger(spelled), spelled, strict=True))
    tags: dict[str, dict[str, int]] = {}
    for (tag, word), times in sorted(counts.items()):
        if is_word(word):
            same = tags.setdefault(tag, {})
            same[word.lower()] = same.get(word.lower(), 0) + times
    return tags


class SamePosAug(SeededAug):
    """Replaces each word with probability ``probability`` by another one that bears its tag in the lexicon.

    A word is drawn as often as it was met with that tag; it takes the case of the one it replaces, and
    has its scripts. A word that is alone with its tag stays.

    Args:
        tags: The lexicon, see ``count_tags``.
        words: What a word is, and which stay.
        tagger: The one the lexicon was counted with.
        probability: p_pos, 0.1 in the paper; there of all words, a masked one is not looked at again.
        seed: Of the draws.
    """

    def __init__(
        self,
        tags: Tags,
        words: WordsConfig | None = None,
        *,
        tagger: Tagger = textblob_tags,
        probability: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__(probability=probability, seed=seed, name="SamePosAug")
        self._tags = {
            tag: _Words(sorted(met), list(accumulate(met[word] for word in sorted(met)))) for tag, met in tags.items()
        }
        self.word_spans = WordSpans(words or WordsConfig())
        self._tagger = tagger

    def change(self, text: str, generator: np.random.Generator) -> str:
        """The text with some of its words replaced."""
        word_spans = self.word_spans(text)
        uniform = generator.random((2, len(word_spans)))
        if not (uniform[0] < self._probability).any():
            return text
        tags = self._tagger([text[slice(*word_span.span)] for word_span in word_spans])
        changes = {}
        for word_span, tag, (coin, which) in zip(word_spans, tags, uniform.T.tolist(), strict=True):
            word = text[slice(*word_span.span)]
            if coin >= self._probability or not word_span.free or not is_word(word):
                continue
            other = self._other(word, self._tags.get(tag), which)
            if other is not None:
                changes[word_span.span] = like(word, other)
        return replaced(text, changes)

    def _other(self, word: str, met: _Words | None, which: float) -> str | None:
        if met is None:
            return None
        own = bisect_right(met.spelled, word.lower()) - 1
        known = own >= 0 and met.spelled[own] == word.lower()
        before = met.upto[own - 1] if known and own else 0
        weight = met.upto[own] - before if known else 0
        total = met.upto[-1] - weight
        if total <= 0:
            return None
        at = int(which * total)
        at += weight if known and at >= before else 0  # the word's own share of the line is left out
        other = met.spelled[bisect_right(met.upto, at)]
        return other if scripts(other) == scripts(word) else None
