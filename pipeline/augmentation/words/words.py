"""A word is what the tokenizer splits text into before it cuts word pieces; in Chinese it may be several of these.

A sentence is the tokenizer's normalised text (lower-cased if it is uncased) as a list of words, each with the ids of
its pieces. The words put together are that text again, so replacing one word never changes another. Markers such as
``[MASK]`` in a user's text are plain text.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from tokenizers import PreTokenizedString
from transformers import PreTrainedTokenizerFast

from pipeline.augmentation.words.protection import BY_LANGUAGE, Protection, touches
from pipeline.augmentation.words.script_and_case import is_clause, is_han, is_word
from pipeline.augmentation.words.segmentation import segmenter
from pipeline.config.words import WordsConfig
from pipeline.errors import ModelError

ENGLISH = WordsConfig()
KNOWN = 1 << 16  # the pieces of the last so many words are cached: 20 MB, however many rows there are


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text as words; every tuple but ``replaceable`` has one entry for each word.

    Attributes:
        words: the words, normalised by the tokenizer; some white space may be an empty word.
        spaced: whether white space precedes the word.
        marked: whether the word's first piece has the vocabulary's leading-space marker.
        pieces: ids of the word's pieces.
        replaceable: positions of the words that augmentation may replace, ascending.
    """

    words: tuple[str, ...]
    spaced: tuple[bool, ...]
    marked: tuple[bool, ...]
    pieces: tuple[tuple[int, ...], ...]
    replaceable: tuple[int, ...]

    def ids(self) -> list[int]:
        """Return the ids of all pieces, without special tokens."""
        return list(chain.from_iterable(self.pieces))

    def offsets(self) -> list[int]:
        """Return the index in ``ids()`` of each word's first piece."""
        starts, total = [], 0
        for pieces in self.pieces:
            starts.append(total)
            total += len(pieces)
        return starts

    def text(self) -> str:
        """Return the normalised text."""
        return "".join(self.parts()).strip()

    def parts(self) -> list[str]:
        """Return the words, each with the white space before it; together they are the text."""
        return [f" {word}" if space else word for space, word in zip(self.spaced, self.words, strict=True)]


class WordSplitter:
    """Splits texts into sentences with a fast tokenizer's normaliser, pre-tokeniser and model.

    Words of letters that the vocabulary can spell are replaceable, unless they are stop-words or protected. In a script
    without spaces, what a tokenizer does not cut is a clause rather than a word, and is not replaceable.

    Args:
        tokenizer: its splitting decides what a word is.
        words: which words are never replaced, and whether Chinese characters are joined to words.

    Raises:
        ModelError: the tokenizer is not a fast one, or does not split text into words first, or does not split Chinese
            into the characters that words are made of.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, words: WordsConfig = ENGLISH) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None or backend.pre_tokenizer is None:
            kind = type(tokenizer).__name__
            raise ModelError(
                f"{kind} does not split text into words before word pieces: augment with a fast WordPiece, "
                "byte-level BPE or SentencePiece tokenizer (a folder with tokenizer.json)"
            )
        self._normalizer = backend.normalizer
        self._pre_tokenizer = backend.pre_tokenizer
        self._unknown_id = tokenizer.unk_token_id
        cut = backend.model.tokenize
        self._piece_ids = lru_cache(KNOWN)(lambda token: tuple(piece.id for piece in cut(token)))
        self._is_padded = lru_cache(KNOWN)(lambda character: self.normalise(character)[:1].isspace())
        self._stop_words = BY_LANGUAGE[words.language]
        self._protection = Protection(words)
        self._segment = segmenter(words.segmentation)
        if self._segment and len(self._pre_tokenizer.pre_tokenize_str(self.normalise("中文"))) != 2:
            raise ModelError(
                f"{type(tokenizer).__name__} does not split Chinese text into characters, which "
                f"augmentation.words.segmentation={words.segmentation} makes words of: augment with a Chinese BERT's "
                "tokenizer"
            )
        last = backend.pre_tokenizer.pre_tokenize_str("a b")[-1][0]
        self.marker: str = last.removesuffix("b")

    def normalise(self, text: str) -> str:
        """Return the text as the tokenizer sees it: cleaned, and lower-cased if it is uncased."""
        return self._normalizer.normalize_str(text) if self._normalizer else text

    def written(self, word: str) -> str:
        """Return a word normalised by the tokenizer, without the spaces that this may add."""
        return "".join(self.normalise(word).split())

    def admitted(self, candidates: tuple[str, ...]) -> tuple[str, ...]:
        """Return the candidates that may be put into a text: a negation is neither removed nor added."""
        return tuple(word for word in candidates if not self._protection.negates(word))

    def spells(self, word: str) -> bool:
        """Return whether the vocabulary has pieces for all of a word."""
        ids = self(word).ids()
        return bool(ids) and self._unknown_id not in ids

    def __call__(self, text: str) -> Sentence:
        """Split a text; the ids are those of the tokenizer, without special tokens."""
        normal = self.normalise(text)
        spans = self._pre_tokenizer.pre_tokenize_str(normal)
        tokens = [token for token, _ in spans]
        raw = [normal[start:end] for _, (start, end) in spans]
        surfaces = [surface.strip() for surface in raw]
        spaced = self._spaced(normal, [span for _, span in spans], surfaces)
        protected = self._protected(text)
        groups = self._groups(surfaces, spaced)
        words = tuple("".join(surfaces[start:end]) for start, end in groups)
        pieces = tuple(
            tuple(chain.from_iterable(self._piece_ids(token) for token in tokens[start:end])) for start, end in groups
        )
        return Sentence(
            words=words,
            spaced=tuple(spaced[start] for start, _ in groups),
            marked=tuple(bool(self.marker) and tokens[start].startswith(self.marker) for start, _ in groups),
            pieces=pieces,
            replaceable=tuple(
                position
                for position, (start, end) in enumerate(groups)
                if self._is_replaceable(words[position], pieces[position], end - start)
                and protected.isdisjoint(range(start, end))
            ),
        )

    def _is_replaceable(self, word: str, pieces: tuple[int, ...], num_tokens: int) -> bool:
        if not is_word(word) or not pieces or self._unknown_id in pieces:
            return False
        if is_clause(word) and num_tokens == 1:
            return False
        return word.lower() not in self._stop_words and not self._protection.negates(word)

    def _spaced(self, text: str, spans: list[tuple[int, int]], surfaces: list[str]) -> list[bool]:
        """Return for each word whether white space preceded it in the user's text.

        BERT's normaliser adds a space on either side of a Chinese character; these do not count.
        """
        spaced, before, padding = [], 0, 0
        for (start, end), surface in zip(spans, surfaces, strict=True):
            white = start - before + (len(text[start:end]) - len(text[start:end].lstrip()))
            own = self._padding(surface[:1])
            spaced.append(white > padding + own)
            before, padding = end, self._padding(surface[-1:])
        return spaced

    def _padding(self, character: str) -> int:
        return 0 if character.isascii() else int(self._is_padded(character))

    def _groups(self, surfaces: list[str], spaced: list[bool]) -> list[tuple[int, int]]:
        """Return the (start, end) tokens of each word: one token, or the characters that the segmenter joins."""
        if self._segment is None:
            return [(at, at + 1) for at in range(len(surfaces))]
        groups, start = [], 0
        while start < len(surfaces):
            end = start + 1
            if len(surfaces[start]) == 1 and is_han(surfaces[start]):
                while end < len(surfaces) and not spaced[end] and len(surfaces[end]) == 1 and is_han(surfaces[end]):
                    end += 1
            for word in self._segment("".join(surfaces[start:end])) if end > start + 1 else [surfaces[start]]:
                stop = start + (len(word) if end > start + 1 else 1)
                groups.append((start, stop))
                start = stop
        return groups

    def _protected(self, text: str) -> set[int]:
        """Return the numbers of the tokens that overlap a protected part of the text as it was written."""
        spans = self._protection.all_spans(text)
        if not spans:
            return set()
        split = PreTokenizedString(text)  # it keeps the place of each token in the text
        if self._normalizer:
            split.normalize(self._normalizer.normalize)
        self._pre_tokenizer.pre_tokenize(split)
        return {number for number, (_, span, _) in enumerate(split.get_splits()) if touches(span, spans)}
