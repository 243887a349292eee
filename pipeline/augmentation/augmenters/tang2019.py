"""Masking, same part of speech and n-gram sampling (Tang et al. 2019, arXiv:1903.12136).

Words of the same part of speech come from a lexicon: how often each word of the task's rows has each tag. A tagger is
any function from words to as many tags.
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


class MaskAug(SeededAug):
    """Replaces each word with probability ``probability`` by the mask token.

    Args:
        words: how text is split into words, and which of them are never replaced.
        token: mask token of the tokenizer that will read the text (``<mask>`` for RoBERTa).
        probability: p_mask, 0.1 in the paper.
        seed: seed of the draws.
    """

    TOKEN = "[MASK]"  # noqa: S105 - of a text

    def __init__(
        self, words: WordsConfig | None = None, *, token: str = TOKEN, probability: float = 0.1, seed: int = 0
    ) -> None:
        super().__init__(probability=probability, seed=seed)
        self.word_spans = WordSpans(words or WordsConfig())
        self._token = token

    def change(self, text: str, generator: np.random.Generator) -> str:
        """Return the text with some of its words masked."""
        free = [word.span for word in self.word_spans(text) if word.free]
        drawn = generator.random(len(free)) < self._probability
        return replaced(text, {span: self._token for span, yes in zip(free, drawn, strict=True) if yes})


class NgramAug(SeededAug):
    """Keeps, with probability ``probability``, n consecutive words of a text, and nothing else.

    n is drawn uniformly from 1 to ``longest``; a text of at most n words stays. Protected words may be lost.

    Args:
        words: how text is split into words.
        probability: p_ng, 0.25 in the paper.
        longest: largest n.
        seed: seed of the draws.
    """

    def __init__(
        self, words: WordsConfig | None = None, *, probability: float = 0.25, longest: int = 5, seed: int = 0
    ) -> None:
        super().__init__(probability=probability, seed=seed)
        self.word_spans = WordSpans(words or WordsConfig())
        self._longest = longest

    def change(self, text: str, generator: np.random.Generator) -> str:
        """Return an n-gram of the text, or the text."""
        if generator.random() >= self._probability:
            return text
        spans = [word.span for word in self.word_spans(text)]
        size = int(generator.integers(1, self._longest + 1))
        if size >= len(spans):
            return text
        first = int(generator.integers(0, len(spans) - size + 1))
        return text[spans[first][0] : spans[first + size - 1][1]]


def textblob_tags(words: Sequence[str]) -> list[str]:
    """Return the Penn Treebank tags of English words, by textblob's own lexicon and rules."""
    from textblob.en import parser

    return [tag for _, tag in parser.find_tags(list(words))] if words else []


def count_tags(texts: Iterable[str], words: WordsConfig, tagger: Tagger = textblob_tags) -> dict[str, dict[str, int]]:
    """Count how often each word has each tag; words that are not all letters are left out.

    Args:
        texts: the texts, read once.
        words: how text is split into words.
        tagger: called with the words of one text at a time.
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


class _Words(NamedTuple):
    """The words of a tag, sorted, and the running total of their counts."""

    spelled: list[str]
    totals: list[int]


def _cumulated(counts: Mapping[str, int]) -> _Words:
    spelled = sorted(counts)
    return _Words(spelled, list(accumulate(counts[word] for word in spelled)))


class SamePosAug(SeededAug):
    """Replaces each word with probability ``probability`` by another one that bears its tag in the lexicon.

    A word is drawn as often as it was counted with that tag. It has the scripts of the word that it replaces, and takes
    its case. A word that is the only one with its tag stays.

    Args:
        tags: the lexicon, see ``count_tags``.
        words: how text is split into words, and which of them are never replaced.
        tagger: the tagger that the lexicon was counted with.
        probability: p_pos, 0.1 in the paper, where it is a share of all words and a masked word is not drawn again.
        seed: seed of the draws.
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
        super().__init__(probability=probability, seed=seed)
        self._tags = {tag: _cumulated(counts) for tag, counts in tags.items()}
        self.word_spans = WordSpans(words or WordsConfig())
        self._tagger = tagger

    def change(self, text: str, generator: np.random.Generator) -> str:
        """Return the text with some of its words replaced."""
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

    def _other(self, word: str, same_tag: _Words | None, which: float) -> str | None:
        """Draw another word of the same tag by a number from 0 to 1; None if there is none in the word's scripts."""
        if same_tag is None:
            return None
        spelled, totals = same_tag
        place = bisect_right(spelled, word.lower()) - 1
        known = place >= 0 and spelled[place] == word.lower()
        before = totals[place - 1] if known and place else 0
        weight = totals[place] - before if known else 0
        total = totals[-1] - weight
        if total <= 0:
            return None
        drawn = int(which * total)
        drawn += weight if known and drawn >= before else 0  # the word itself is never drawn
        other = spelled[bisect_right(totals, drawn)]
        return other if scripts(other) == scripts(word) else None
