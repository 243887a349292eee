"""Only the pipeline sets special tokens: ``[SEP]`` in a text is five characters, not the end of a sentence.

A fast tokenizer finds the names of its special tokens in any text and encodes them as the tokens themselves, so a row
could forge a sentence boundary. Here they are read as plain text. If the vocabulary has such a name as one piece
(SentencePiece's may), the name is split first.

The only exception are the holes that the augmenter ``mask`` makes. It marks them with ``HOLE``, a character that
Unicode reserves for internal use, and ``Holes`` turns it into the mask token when variants are tokenised.
"""

import copy
import re
from collections.abc import Sequence
from typing import Any

from tokenizers import normalizers
from transformers import AddedToken, PreTrainedTokenizerFast

from pipeline.config.augmenters import HOLE, MARKERS

_MARKED = re.compile(f"{HOLE}(?:{MARKERS})")


def read_names_as_text(tokenizer: PreTrainedTokenizerFast) -> None:
    """Make a tokenizer, in place, read the names of its special tokens as plain text."""
    tokenizer.split_special_tokens = True  # what a call takes when it is not told otherwise
    backend = tokenizer.backend_tokenizer
    backend.encode_special_tokens = True
    joined = [name for name in tokenizer.all_special_tokens if _spelled_in_one(tokenizer, name)]
    if joined:
        apart = [normalizers.Replace(name, f"{name[0]} {name[1:]}") for name in joined]
        backend.normalizer = normalizers.Sequence([*([backend.normalizer] if backend.normalizer else []), *apart])


def _spelled_in_one(tokenizer: PreTrainedTokenizerFast, name: str) -> bool:
    own = tokenizer.convert_tokens_to_ids(name)
    if own == tokenizer.unk_token_id or len(name) < 2:
        return False
    return own in tokenizer(f"a{name}a", add_special_tokens=False)["input_ids"]


class Holes:
    """Encodes texts in which ``HOLE`` followed by a marker stands for the mask token.

    Args:
        tokenizer: a tokenizer from ``load_tokenizer``; it is not changed.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._mask = tokenizer.mask_token_id
        self._tokenizer = tokenizer
        if self._mask is not None:
            mask = tokenizer.added_tokens_decoder.get(self._mask)
            self._tokenizer = copy.deepcopy(tokenizer)
            spaces = {"lstrip": mask.lstrip, "rstrip": mask.rstrip} if mask else {}
            self._tokenizer.add_tokens([AddedToken(HOLE, special=False, normalized=False, **spaces)])
            self._hole = self._tokenizer.convert_tokens_to_ids(HOLE)

    def __call__(self, texts: Sequence[str], pairs: Sequence[str] | None, **options: Any) -> Any:
        """Tokenise texts, with the mask token in the holes.

        Args:
            texts: the texts.
            pairs: the second texts of pairs; None without.
            options: passed on to the tokenizer.
        """
        encoded = self._tokenizer(_bare(texts), None if pairs is None else _bare(pairs), **options)
        if self._mask is not None:
            encoded["input_ids"] = [
                [self._mask if token == self._hole else token for token in ids] for ids in encoded["input_ids"]
            ]
        return encoded


def _bare(texts: Sequence[str]) -> list[str]:
    return [_MARKED.sub(HOLE, text) if HOLE in text else text for text in texts]
