"""Word vectors, and the neighbours of a word: the words whose vectors have the most similar directions.

Neighbours are ranked by cosine: a float32 product over all words selects likely ones, and their scores are then
computed again in float64. So the neighbours of a word do not depend on which words are looked up together, and of
equal scores the earlier word comes first.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pipeline.augmentation.words.segmentation import frequent_words
from pipeline.augmentation.words.vocabulary import word_vocabulary
from pipeline.augmentation.words.words import WordSplitter
from pipeline.config.words import WordsConfig
from pipeline.errors import DataError

Matrix = NDArray[np.float32]
ROUNDING = 1e-5  # more than float32 loses in a cosine; far less than the difference of two neighbours
BLOCK = 64  # words looked up in one product
KNOWN = 1 << 16  # cached answers, of 15 words each 20 MB; with more, all are forgotten


class WordVectors:
    """Words with unit vectors, and their neighbours.

    Args:
        words: distinct words, the most frequent first if that is known.
        matrix: (words, dimension), float; it is normalised. Rows of zeros are dropped.
        compose: word that is not in ``words`` -> its vector, (dimension,), or None; None composes nothing.
        num_zero: number of rows of zeros that were dropped before; the rows are float32 of length 1 already, and not
            copied. None normalises them.

    Raises:
        DataError: no row is left.
    """

    def __init__(
        self,
        words: list[str],
        matrix: NDArray[Any],
        compose: Callable[[str], Matrix | None] | None = None,
        *,
        num_zero: int | None = None,
    ) -> None:
        if num_zero is None:
            words, matrix, num_zero = _normalised(words, matrix)
        self.words, self.matrix, self.num_zero, self._compose = words, matrix, num_zero, compose
        self._index = {word: number for number, word in enumerate(self.words)}
        self._same: dict[str, list[int]] = {}  # rows that are one word but for case
        for number, word in enumerate(self.words):
            self._same.setdefault(word.casefold(), []).append(number)
        self._known: dict[tuple[str, int], tuple[str, ...]] = {}

    def vector(self, word: str) -> Matrix | None:
        """Return the unit vector of a word, of its lower-case form, or of its parts; None if it has none."""
        for form in (word, word.lower()):
            if form in self._index:
                return self.matrix[self._index[form]]
        made = self._compose(word) if self._compose else None
        norm = 0.0 if made is None else float(np.linalg.norm(made))
        return None if made is None or norm == 0 else (made / norm).astype(np.float32)

    def neighbours(self, word: str, k: int) -> tuple[str, ...]:
        """Return the ``k`` nearest words, nearest first, without ``word`` itself in any case."""
        return self.neighbours_of([word], k)[word]

    def neighbours_of(self, words: Iterable[str], k: int) -> dict[str, tuple[str, ...]]:
        """Return ``neighbours`` of many words, none for a word without a vector; ``KNOWN`` answers are cached."""
        answers = {word: self._known.get((word, k)) for word in words}
        missing = [word for word, answer in answers.items() if answer is None]
        new: dict[str, tuple[str, ...]] = dict.fromkeys(missing, ())
        for begin in range(0, len(missing), BLOCK):
            block = [(word, self.vector(word)) for word in missing[begin : begin + BLOCK]]
            new.update(self._ask([(word, vector) for word, vector in block if vector is not None], k))
        if len(self._known) + len(new) > KNOWN:
            self._known.clear()
        self._known.update({(word, k): answer for word, answer in new.items()})
        return {word: new[word] if answer is None else answer for word, answer in answers.items()}

    def _ask(self, block: list[tuple[str, Matrix]], k: int) -> Iterator[tuple[str, tuple[str, ...]]]:
        if not block:
            return
        queries = torch.from_numpy(np.stack([vector for _, vector in block]))
        scores = queries @ torch.from_numpy(self.matrix).T
        for (word, vector), row in zip(block, scores, strict=True):
            row[self._same.get(word.casefold(), [])] = -torch.inf
            best = row.topk(min(k, len(row))).values
            pool = np.flatnonzero(row.numpy() >= max(float(best[-1]) - ROUNDING, -2.0))
            exact = (self.matrix[pool].astype(np.float64) * vector).sum(axis=1)
            ranked = pool[np.lexsort((pool, -exact))][:k]
            yield word, tuple(self.words[i] for i in ranked)


def _normalised(words: list[str], matrix: NDArray[Any]) -> tuple[list[str], Matrix, int]:
    """Return the words and unit vectors of the rows that are not zero, and the number of the others."""
    matrix = np.ascontiguousarray(matrix, dtype=np.float32)
    norms = np.linalg.norm(matrix, axis=1)
    kept = norms > 0
    if not kept.any():
        raise DataError(f"the word vectors hold {len(words)} words, none with a direction: give other vectors")
    units = matrix[kept] / norms[kept, None]
    return [word for word, keep in zip(words, kept, strict=True) if keep], units, int((~kept).sum())


def embedding_weights(model: PreTrainedModel) -> Tensor:
    """Return the input embeddings of a model, (vocabulary, width)."""
    return cast("nn.Embedding", model.get_input_embeddings()).weight


def from_input_embeddings(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> WordVectors:
    """Return the input embeddings of a model as word vectors, if there are no better ones.

    The words are the whole-word pieces of its vocabulary; the vector of a word of several pieces is their mean.
    """
    split = WordSplitter(tokenizer)
    vocabulary = word_vocabulary(tokenizer)
    weights = embedding_weights(model).detach().float().cpu().numpy()
    ids: dict[str, int] = {}
    by_marker = sorted(range(min(len(vocabulary.words), len(weights))), key=lambda i: not vocabulary.marked[i])
    for index in by_marker:  # where " word" and "word" are two pieces, the first is the word
        word = vocabulary.words[index]
        if word is not None:
            ids.setdefault(word, index)

    def mean_of_pieces(word: str) -> Matrix | None:
        pieces = split(word).ids()
        return weights[pieces].mean(axis=0) if pieces else None

    return WordVectors(list(ids), weights[list(ids.values())], mean_of_pieces)


def for_words(vectors: WordVectors, tokenizer: PreTrainedTokenizerFast, words: WordsConfig) -> WordVectors:
    """Add the frequent words of several characters to vectors of Chinese characters, if jieba cuts the text.

    The input embeddings of a Chinese model are those of characters, but the neighbours of a word should be words.

    Args:
        vectors: word vectors; they stay as they are if they cannot compose a word's vector from its parts.
        tokenizer: only words that it can spell are added.
        words: how text is split into words.
    """
    if words.segmentation != "jieba":
        return vectors
    split = WordSplitter(tokenizer, words)
    return with_words(vectors, filter(split.spells, frequent_words()))


def with_words(vectors: WordVectors, words: Iterable[str]) -> WordVectors:
    """Return vectors with more words, each with the vector of its parts; words without one are left out."""
    known = set(vectors.words)
    composed = {word: vectors.vector(word) for word in words if word not in known}
    placed = {word: vector for word, vector in composed.items() if vector is not None}
    if not placed:
        return vectors
    matrix = np.concatenate([vectors.matrix, np.stack(list(placed.values()))])
    return WordVectors([*vectors.words, *placed], matrix, vectors.vector)
