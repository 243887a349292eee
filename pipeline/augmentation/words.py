"""A word is what the tokenizer itself splits text into before it cuts word pieces.

A sentence is the tokenizer's own normalised text (lower-cased when it is uncased) as a list of such
words, each with the ids of its pieces. Putting the words back together restores the text, so that
replacing one word never disturbs another. Markers such as ``[MASK]`` in a user's text are plain text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from transformers import PreTrainedTokenizerFast

from pipeline.augmentation.stopwords import STOP_WORDS
from pipeline.errors import ModelError


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text as words; every tuple but ``replaceable`` has one entry a word.

    Attributes:
        words: The surfaces, normalised by the tokenizer; a stretch of white space may be an empty word.
        spaced: Whether white space stands before the word.
        marked: Whether the word's first piece carries the vocabulary's leading-space marker.
        pieces: The ids of the word's pieces.
        replaceable: Positions of the words that augmentation may replace, ascending.
    """

    words: tuple[str, ...]
    spaced: tuple[bool, ...]
    marked: tuple[bool, ...]
    pieces: tuple[tuple[int, ...], ...]
    replaceable: tuple[int, ...]

    def ids(self) -> list[int]:
        """The sentence's piece ids, without special tokens."""
        return list(chain.from_iterable(self.pieces))

    def offsets(self) -> list[int]:
        """The index in ``ids()`` of each word's first piece."""
        starts, total = [], 0
        for pieces in self.pieces:
            starts.append(total)
            total += len(pieces)
        return starts

    def text(self, changes: Mapping[int, str] | None = None) -> str:
        """The text again, with the words at the positions in ``changes`` replaced."""
        words = list(self.words)
        for position, word in (changes or {}).items():
            words[position] = word
        spaced = zip(self.spaced, words, strict=True)
        return "".join(f" {word}" if space else word for space, word in spaced).strip()


def is_replaceable(word: str, pieces: tuple[int, ...], unknown_id: int | None) -> bool:
    """Letters only, no stop-word, and the vocabulary can spell it."""
    return word.isalpha() and word.lower() not in STOP_WORDS and bool(pieces) and unknown_id not in pieces


class WordSplitter:
    """Splits texts into sentences with a fast tokenizer's normaliser, pre-tokeniser and model.

    Raises:
        ModelError: the tokenizer is not a fast one, or does not split text into words first.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None or backend.pre_tokenizer is None:
            kind = type(tokenizer).__name__
            raise ModelError(
                f"{kind} does not split text into words before word pieces: augment with a fast WordPiece, "
                "byte-level BPE or SentencePiece tokenizer (a folder with tokenizer.json)"
            )
        self._normalizer = backend.normalizer
        self._pre_tokenizer = backend.pre_tokenizer
        self._model = backend.model
        self._unknown_id = tokenizer.unk_token_id
        self._pieces: dict[str, tuple[int, ...]] = {}
        last = backend.pre_tokenizer.pre_tokenize_str("a b")[-1][0]
        self.marker: str = last.removesuffix("b")

    def normalise(self, text: str) -> str:
        """The text as the tokenizer sees it: cleaned, and lower-cased when it is uncased."""
        return self._normalizer.normalize_str(text) if self._normalizer else text

    def __call__(self, text: str) -> Sentence:
        """Split ``text``; the ids are those the tokenizer gives, special tokens excluded."""
        text = self.normalise(text)
        spans = self._pre_tokenizer.pre_tokenize_str(text)
        raw = [text[start:end] for _, (start, end) in spans]
        words = tuple(surface.strip() for surface in raw)
        ends = [0, *(end for _, (_, end) in spans)]
        spaced = tuple(
            end < start or surface[:1].isspace()
            for end, (_, (start, _)), surface in zip(ends, spans, raw, strict=False)
        )
        pieces = tuple(self._piece_ids(token) for token, _ in spans)
        return Sentence(
            words=words,
            spaced=spaced,
            marked=tuple(bool(self.marker) and token.startswith(self.marker) for token, _ in spans),
            pieces=pieces,
            replaceable=tuple(
                position
                for position, (word, ids) in enumerate(zip(words, pieces, strict=True))
                if is_replaceable(word, ids, self._unknown_id)
            ),
        )

    def _piece_ids(self, token: str) -> tuple[int, ...]:
        known = self._pieces.get(token)
        if known is None:
            known = tuple(piece.id for piece in self._model.tokenize(token))
            self._pieces[token] = known
        return known
