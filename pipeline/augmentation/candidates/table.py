"""A candidate table has, for each sentence, the words that may replace each of its words.

This is the expensive half of algorithm 1 (Jiao et al. 2020). It does not depend on the number of variants, the
probability or the seed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from pipeline.augmentation.candidates.masked_lm import MaskedLM, Place
from pipeline.augmentation.candidates.vectors import WordVectors
from pipeline.augmentation.words.script_and_case import fitting, is_word
from pipeline.augmentation.words.vocabulary import word_vocabulary
from pipeline.augmentation.words.words import ENGLISH, Sentence, WordSplitter
from pipeline.config.words import WordsConfig
from pipeline.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Candidates:
    """A sentence and what may replace its words.

    Attributes:
        sentence: the sentence.
        words: position of a replaceable word -> its candidates, never empty, without the word itself.
        num_beyond: number of replaceable words beyond the model's positions, which are never replaced.
    """

    sentence: Sentence
    words: Mapping[int, tuple[str, ...]]
    num_beyond: int = 0

    @property
    def num_multi_piece(self) -> int:
        """Number of replaceable words of several pieces."""
        return sum(len(self.sentence.pieces[position]) > 1 for position in self.sentence.replaceable)


class CandidateTable:
    """Builds candidates: a masked LM's for words of one piece, neighbours for words of several.

    Candidates of a masked LM are its ``k`` best tokens without those that are no words (see ``vocabulary``) and the
    word itself, so there may be fewer than ``k``. A word without candidates is never replaced.

    Args:
        tokenizer: tokenizer of the masked LM.
        mlm: the masked LM; None takes neighbours for every word.
        vectors: word vectors; None never replaces words of several pieces.
        k: number of candidates for a word (K, 15 in the paper); 0 needs neither a model nor vectors.
        words: how text is split into words, and which of them are never replaced.

    Raises:
        ConfigError: neither a masked LM nor vectors.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        mlm: MaskedLM | None,
        vectors: WordVectors | None,
        k: int,
        words: WordsConfig = ENGLISH,
    ) -> None:
        if k and mlm is None and vectors is None:
            raise ConfigError(
                "augmentation.mlm and augmentation.vectors are both empty: name a masked LM or a vectors file"
            )
        self._split = WordSplitter(tokenizer, words)
        self._vocabulary = word_vocabulary(tokenizer)
        self._mlm = mlm
        self._vectors = vectors
        self._k = k

    @property
    def num_zero_vectors(self) -> int:
        """Number of words whose vectors have no direction."""
        return self._vectors.num_zero if self._vectors else 0

    def build(self, texts: Iterable[str]) -> dict[str, Candidates]:
        """Return the candidates of every distinct text, computed together."""
        unique = list(dict.fromkeys(texts))
        sentences = [self._split(text) for text in unique]
        places: list[Place] = []
        nearby: list[tuple[int, int]] = []
        beyond = [0] * len(sentences)
        for number, sentence in enumerate(sentences):
            offsets = sentence.offsets()
            for position in sentence.replaceable:
                piece, num_pieces = offsets[position], len(sentence.pieces[position])
                if self._mlm and piece + num_pieces > self._mlm.max_pieces:
                    beyond[number] += 1
                elif self._mlm and num_pieces == 1:
                    places.append(Place(number, position, piece))
                else:
                    nearby.append((number, position))
        found: list[dict[int, tuple[str, ...]]] = [{} for _ in sentences]
        self._add_proposals(sentences, places, found)
        self._add_neighbours(sentences, nearby, found)
        return {
            text: Candidates(sentence, self._admitted(proposed), num_beyond)
            for text, sentence, proposed, num_beyond in zip(unique, sentences, found, beyond, strict=True)
        }

    def _admitted(self, proposed: dict[int, tuple[str, ...]]) -> dict[int, tuple[str, ...]]:
        """Return the candidates that may be put into a text, by position in order, of the words that have any."""
        admitted = {position: self._split.admitted(words) for position, words in sorted(proposed.items())}
        return {position: words for position, words in admitted.items() if words}

    def _add_proposals(
        self, sentences: list[Sentence], places: list[Place], found: list[dict[int, tuple[str, ...]]]
    ) -> None:
        if self._mlm is None:
            return
        for place, ids in self._mlm.propose(sentences, places, self._k).items():
            sentence = sentences[place.sentence]
            word, marked = sentence.words[place.position], sentence.marked[place.position]
            found[place.sentence][place.position] = self._vocabulary.propose(ids, word, marked)

    def _add_neighbours(
        self, sentences: list[Sentence], nearby: list[tuple[int, int]], found: list[dict[int, tuple[str, ...]]]
    ) -> None:
        if self._vectors is None:
            return
        asked = (sentences[number].words[position] for number, position in nearby)
        answers = {
            word: self._as_words(word, words) for word, words in self._vectors.neighbours_of(asked, self._k).items()
        }
        for number, position in nearby:
            found[number][position] = answers[sentences[number].words[position]]

    def _as_words(self, word: str, neighbours: tuple[str, ...]) -> tuple[str, ...]:
        """Return the neighbours that are words of letters, normalised, in the script and case of ``word``."""
        normal = (self._split.written(other) for other in neighbours)
        return fitting(word, (other for other in normal if is_word(other)))
