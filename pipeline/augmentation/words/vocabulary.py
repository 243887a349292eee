"""The entries of a vocabulary that are words by themselves.

Continuation pieces (``##ing``), special and unused tokens, and anything but letters and their marks are not.
"""

from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from pipeline.augmentation.words.script_and_case import fitting, is_word
from pipeline.augmentation.words.words import WordSplitter


@dataclass(frozen=True, slots=True)
class WordVocabulary:
    """The word of each token id.

    Attributes:
        words: (vocabulary,), the word of each token; None if it is no word.
        marked: (vocabulary,), whether the token has the leading-space marker of byte-level and SentencePiece
            vocabularies; such a token without the marker begins a text or continues a word.
    """

    words: tuple[str | None, ...]
    marked: tuple[bool, ...]

    def propose(self, token_ids: list[int], word: str, marked: bool) -> tuple[str, ...]:
        """Return the words of tokens that may replace a word, in the order of their ids.

        Ordered by score, near-equal candidates could be swapped by rounding; the order does not matter otherwise,
        because candidates are drawn uniformly. ``word`` itself is dropped, in any case: the released code keeps it,
        which silently lowers the replacement rate below p_t. Words of another script are dropped, and a capitalised
        word is replaced by capitalised ones, see ``script_and_case``.

        Args:
            token_ids: ids of the proposed tokens.
            word: the word to replace.
            marked: whether its token has the leading-space marker; only tokens like it are taken.
        """
        known = (index for index in sorted(token_ids) if index < len(self.words) and self.marked[index] == marked)
        return fitting(word, [self.words[index] for index in known])


def word_vocabulary(tokenizer: PreTrainedTokenizerFast) -> WordVocabulary:
    """Read the words of a fast tokenizer's vocabulary."""
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
