"""Tokenizers: train a BERT WordPiece vocabulary on any text, or load the tokenizer of a pretrained model.

All are fast tokenizers of the Transformers library, written by ``save_pretrained`` and read by
``AutoTokenizer.from_pretrained``.

Only the pipeline sets special tokens: ``[SEP]`` in a text is five characters, not the end of a sentence. A fast
tokenizer encodes the names of its special tokens in any text as the tokens themselves, so a row could forge a sentence
boundary. Here they are read as plain text. If the vocabulary has such a name as one piece (SentencePiece's may), the
name is split first. The only exception are the holes that the augmenter ``mask`` makes. It marks them with ``HOLE``, a
character that Unicode reserves for internal use, and ``Holes`` turns it into the mask token.
"""

import copy
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, normalizers, trainers
from tokenizers.models import WordPiece
from transformers import AddedToken, AutoTokenizer, BertTokenizer, PreTrainedTokenizerFast

from pipeline.config.augmenters import HOLE, MARKERS
from pipeline.data.tokens.stored_vocabulary import check_ids, require_tokenizer
from pipeline.errors import DataError, ModelError
from pipeline.hub import asking_hub

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MAX_ALPHABET = 1000
MIN_CHARACTER_COUNT = 2
"""A rarer character is unknown: it would take two places in the vocabulary and hardly be used."""
_MARKED = re.compile(f"{HOLE}(?:{MARKERS})")


def train_wordpiece(
    texts: Iterable[str], vocab_size: int, lowercase: bool = True, model_max_length: int = 512
) -> BertTokenizer:
    """Train a WordPiece vocabulary and wrap it in BERT's tokenizer; the same texts give the same ids.

    Args:
        texts: the training texts; they are iterated over once.
        vocab_size: number of tokens, the five special ones (ids 0 to 4) included.
        lowercase: lower-case and strip accents, as the uncased BERT does.
        model_max_length: longest sequence of the model, in tokens.

    Raises:
        DataError: the texts hold no words.
    """
    blank = BertTokenizer(do_lower_case=lowercase).backend_tokenizer
    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))  # noqa: S106 - a token of text
    tokenizer.normalizer, tokenizer.pre_tokenizer = blank.normalizer, blank.pre_tokenizer
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="ignore") as spool:
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(tokenizer.normalizer.normalize_str(text))
            spool.write(text + "\n")
        alphabet = _alphabet(counts, min(MAX_ALPHABET, vocab_size // 4))
        # The trainer numbers the pieces '##x' in the random order of a hash table and breaks ties by
        # number: naming them first makes the vocabulary a function of the texts.
        trainer = trainers.WordPieceTrainer(
            vocab_size=vocab_size,
            special_tokens=[*SPECIAL_TOKENS, *(f"##{character}" for character in alphabet)],
            initial_alphabet=alphabet,
            limit_alphabet=len(alphabet),
            show_progress=False,
        )
        spool.seek(0)
        tokenizer.train_from_iterator(spool, trainer)
    trained = BertTokenizer(vocab=tokenizer.get_vocab(), do_lower_case=lowercase, model_max_length=model_max_length)
    read_names_as_text(trained)
    return trained


def load_tokenizer(source: str, revision: str | None = None) -> PreTrainedTokenizerFast:
    """Load the fast tokenizer of a model; it reads the names of special tokens in a text as plain text.

    Args:
        source: folder or hub id of the model.
        revision: branch, tag or commit of a hub id.

    Raises:
        ModelError: there is no tokenizer, it is not a fast one, or it has no padding token.
    """
    folder = Path(source).expanduser()
    require_tokenizer(source)
    if not folder.is_dir() and source.startswith(("/", ".", "~")):
        raise ModelError(f"{source}: no such folder: check the path")
    location = str(folder) if folder.is_dir() else source
    try:
        with asking_hub(location, "name a folder with a tokenizer", ModelError):
            tokenizer = AutoTokenizer.from_pretrained(location, revision=revision, trust_remote_code=False)
    except ModelError:
        raise
    except Exception as error:  # the library raises many kinds
        first_line = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(f"{source}: no tokenizer could be loaded ({first_line})") from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ModelError(f"{source}: {type(tokenizer).__name__} has no fast tokenizer: add a tokenizer.json")
    if tokenizer.pad_token_id is None:
        raise ModelError(f"{source}: the tokenizer has no padding token: set pad_token and save it again")
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):
        raise ModelError(f"{source}: the tokenizer has no vocabulary: save vocab.txt or tokenizer.json there")
    read_names_as_text(tokenizer)
    return tokenizer


def check_vocabulary(tokenizer: PreTrainedTokenizerFast, vocab_size_of_model: int) -> None:
    """Refuse a tokenizer that has ids for which the model's embedding has no row.

    Args:
        tokenizer: the tokenizer.
        vocab_size_of_model: number of rows of the model's embedding.

    Raises:
        ModelError: an id is too large; names the largest id and the number of rows.
    """
    check_ids(tokenizer.get_vocab(), vocab_size_of_model)


def _alphabet(counts: Counter[str], limit: int) -> list[str]:
    """The most frequent characters that are not spaces; ties by code point."""
    frequent = [c for c, count in counts.items() if count >= MIN_CHARACTER_COUNT and not c.isspace()]
    if not frequent:
        raise DataError("the texts hold no words to train a vocabulary on: give a larger corpus")
    return sorted(sorted(frequent, key=lambda c: (-counts[c], c))[:limit])


def read_names_as_text(tokenizer: PreTrainedTokenizerFast) -> None:
    """Make a tokenizer, in place, read the names of its special tokens as plain text."""
    tokenizer.split_special_tokens = True  # the default of a call
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
