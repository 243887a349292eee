"""Checks before a training: the model's positions, equal vocabularies, enough text for one batch."""

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pipeline.data.tokens.batches import BatchPlan
from pipeline.data.tokens.tokenizer import load_tokenizer
from pipeline.engine.refusals import check_length
from pipeline.errors import DataError, ModelError
from pipeline.evaluation.latency import longest_input
from pipeline.models.source import ModelSource

PROBES = ("Paris", "caf\u00e9", "\u5317\u4eac", "don't stop-it", "\uff21\uff11", "a\u00ad b  c\n")
"""Texts that cleaning treats differently: capitals, accents, Chinese, punctuation, wide letters, odd spaces."""


def check_positions(model: PreTrainedModel, length: int, setting: str) -> None:
    """Refuse sequences that are longer than a model's number of positions.

    Args:
        model: the model that reads them.
        length: longest sequence, in word pieces.
        setting: the configuration key that sets the length.

    Raises:
        ModelError: names both numbers and the setting.
    """
    check_length(length, longest_input(model), setting)


def longest_row(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> int:
    """Return the longest sequence, in word pieces, that both a model's positions and its tokenizer allow."""
    return int(min(longest_input(model), tokenizer.model_max_length))


def check_same_vocabulary(
    tokenizer: PreTrainedTokenizerFast,
    model: ModelSource,
    *,
    said: str = "the teacher is",
    whose: str = "the corpus",
    way_out: str = "leave corpus.tokenizer empty to use the teacher's",
) -> None:
    """Refuse a model whose vocabulary differs from that of the tokens it reads: the ids would mean other words.

    Equal word pieces are not enough: in an uncased corpus a cased model never meets half of its ids.

    Args:
        tokenizer: the tokenizer that made the tokens.
        model: the model that reads them.
        said: beginning of the message, which names the model's part.
        whose: what the tokens belong to, for the message.
        way_out: end of the message: how to mend it.

    Raises:
        ModelError: the model's tokenizer has other pieces, cleans or splits text differently, or is missing.
    """
    own = load_tokenizer(model.location, model.revision)
    if own.get_vocab() != tokenizer.get_vocab():
        raise ModelError(
            f"{said} {model.location}, whose vocabulary ({len(own)} word pieces) is not that of {whose} "
            f"({len(tokenizer)}): {way_out}"
        )
    for text in PROBES:
        its, ours = _read(own, text), _read(tokenizer, text)
        if its != ours:
            raise ModelError(
                f"{said} {model.location}, whose tokenizer makes {its} of {text!r}, that of {whose} {ours}, "
                f"though their word pieces are the same: {way_out}"
            )


def _read(tokenizer: PreTrainedTokenizerFast, text: str) -> list[str]:
    """Return the words that a tokenizer splits a text into after cleaning it, before it looks for word pieces."""
    backend = tokenizer.backend_tokenizer
    clean = backend.normalizer.normalize_str(text) if backend.normalizer else text
    return [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(clean)] if backend.pre_tokenizer else [clean]


def check_one_batch(batches: BatchPlan, section: str) -> None:
    """Refuse a corpus that does not fill one batch: it is probably the wrong file.

    Args:
        batches: the batches of the corpus.
        section: the configuration section whose ``training`` sets the batch size.

    Raises:
        DataError: names the size of the corpus, the size of a batch and the setting.
    """
    sequences = len(batches.lengths)
    if batches.max_tokens is None:
        size, needed, unit, key = sequences, batches.batch_size, "sequences", "batch_size"
    else:
        size = sequences * batches.pad_to if batches.pad_to else int(batches.lengths.sum())
        needed, unit, key = batches.max_tokens, "word pieces", "max_tokens"
    if size < needed:
        raise DataError(
            f"the corpus has {size} {unit}, fewer than one batch of {needed}: "
            f"give more text, or lower {section}.training.{key}"
        )
