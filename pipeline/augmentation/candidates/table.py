"""A candidate table says, for each sentence, which words may stand in place of each of its words.

This is the expensive half of algorithm 1 (Jiao et al. 2020), and it depends on nothing that the drawing
of variants depends on: not on their number, the probability or the seed.
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
        sentence: The words.
        words: Position of a replaceable word -> its candidates, never empty, never the word itself.
        num_beyond: Replaceable words beyond the model's positions, which stay as they are.
    """

    sentence: Sentence
    words: Mapping[int, tuple[str, ...]]
    num_beyond: int = 0

    @property
    def num_multi_piece(self) -> int:
        """Replaceable words of several pieces."""
        return sum(len(self.sentence.pieces[position]) > 1 for position in self.sentence.replaceable)


class CandidateTable:
    """Builds candidates: a masked LM's for words of one piece, neighbours for words of several.

    Candidates of a masked LM are its ``k`` best tokens less those that are no words (see
    ``vocabulary``) and the word itself; so there may be fewer than ``k``. A word without candidates
    stays as it is.

    Args:
        tokenizer: Decides what a word is; the masked LM's own.
        mlm: None takes neighbours for every word.
        vectors: None leaves words of several pieces as they are.
        k: Candidates a word (K, 15 in the paper); none with 0, which needs neither a model nor vectors.
        words: What a word is, and which ones stay.

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
        """Words whose vectors have no direction."""
        return self._vectors.num_zero if self._vectors else 0

    def build(self, texts: Iterable[str]) -> dict[str, Candidates]:
        """The candidates of every distinct text, computed together."""
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
            text: Candidates(sentence, {at: words for at, words in sorted(words.items()) if words}, lost)
            for text, sentence, words, lost in zip(unique, sentences, map(self._admitted, found), beyond, strict=True)
        }

    def _admitted(self, found: dict[int, tuple[str, ...]]) -> dict[int, tuple[str, ...]]:
        return {position: self._split.admitted(words) for position, words in found.items()}

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
        self,
        sentences: list[Sentence],
        nearby: list[tuple[int, int]],
        found: list[dict[int, tuple[str, ...]]],
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
        """Neighbours as the tokenizer writes them, words of letters only, in the script and case of ``word``."""
        seen = (self._split.written(other) for other in neighbours)
        return fitting(word, (other for other in seen if is_word(other)))
