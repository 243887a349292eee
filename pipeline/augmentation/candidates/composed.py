"""Vectors for words that a model knows only the parts of.

The input embeddings of a Chinese model are those of characters; the neighbours of a word should be words.
"""

from collections.abc import Iterable

import numpy as np
from transformers import PreTrainedTokenizerFast

from pipeline.augmentation.candidates.vectors import WordVectors
from pipeline.augmentation.words.segmentation import frequent_words
from pipeline.augmentation.words.words import WordSplitter
from pipeline.config.words import WordsConfig


def for_words(vectors: WordVectors, tokenizer: PreTrainedTokenizerFast, words: WordsConfig) -> WordVectors:
    """The vectors fit for words as jieba cuts them: with the frequent words of several characters that it knows.

    Args:
        vectors: Those that can place a word by its parts gain words; others stay as they are.
        tokenizer: Has to be able to spell them.
        words: How text is cut into words.
    """
    if words.segmentation != "jieba":
        return vectors
    split = WordSplitter(tokenizer, words)
    return with_words(vectors, filter(split.spells, frequent_words()))


def with_words(vectors: WordVectors, words: Iterable[str]) -> WordVectors:
    """The vectors with more words beside theirs, each where its parts put it; those without parts are left out."""
    known = set(vectors.words)
    composed = {word: vectors.vector(word) for word in words if word not in known}
    placed = {word: vector for word, vector in composed.items() if vector is not None}
    if not placed:
        return vectors
    matrix = np.concatenate([vectors.matrix, np.stack(list(placed.values()))])
    return WordVectors([*vectors.words, *placed], matrix, vectors.vector)
