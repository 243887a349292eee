"""The vocabulary as words: which of its entries can stand in a text as a word of its own.

Continuation pieces (``##ing``), special and unused tokens, and anything but letters and their marks cannot.
"""

from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from pipeline.augmentation.words.script_and_case import fitting, is_word
from pipeline.augmentation.words.words import WordSplitter


@dataclass(frozen=True, slots=True)
class WordVocabulary:
    """One entry a token id.

    Attributes:
        words: The word a token spells, None where it spells none.
        marked: Whether the token carries the leading-space marker of byte-level and SentencePiece
            vocabularies; without the marker such a token begins a text or continues a word.
    """

    words: tuple[str | None, ...]
    marked: tuple[bool, ...]

    def propose(self, token_ids: list[int], word: str, marked: bool) -> tuple[str, ...]:
        """The words that tokens proposed in place of ``word`` spell, in the order of their ids.

        Ordering by id rather than by score keeps rounding from reordering near-equal candidates; they
        are drawn uniformly. ``word`` itself is dropped, in any case: the released code keeps it among
        its own candidates, which silently lowers the replacement rate below p_t. A vocabulary
        with a leading-space marker proposes only tokens marked like the word they replace. Words of another
        script are dropped, and a capitalised word is replaced by capitalised ones, see ``script_and_case``.
        """
        return fitting(word, [self.words[i] for i in sorted(token_ids) if self._stands(i, marked)])

    def _stands(self, index: int, marked: bool) -> bool:
        return index < len(self.words) and self.marked[index] == marked


def word_vocabulary(tokenizer: PreTrainedTokenizerFast) -> WordVocabulary:
    """Read the words out of a fast tokenizer's vocabulary."""
    marker = WordSplitter(tokenizer).marker
    backend = tokenizer.backend_tokenizer
    continuation = getattr(backend.model, "continuing_subword_prefix", None)
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    tokens = tokenizer.get_vocab()
    size = max(tokens.values()) + 1
    words: list[str | None] = [None] * size
    marked = [False] * size
    for token, index in tokens.items():
        marked[index] = bool(marker) and token.startswith(marker)
        if index in special or (continuation and token.startswith(continuation)):
            continue
        body = token.removeprefix(marker) if marker else token
        if not body.isascii() and backend.decoder is not None:
            body = backend.decoder.decode([token]).strip()
        words[index] = body if is_word(body) else None
    return WordVocabulary(tuple(words), tuple(marked))
