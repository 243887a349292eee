"""What has to fit together before anything is trained: a model's positions, two tokenizers, corpus and batch."""

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
    """Refuse sequences that a model has no positions for.

    Args:
        model: that is to read them.
        length: their greatest length in word pieces.
        setting: the configuration key that decides it.

    Raises:
        ModelError: names both numbers and the setting.
    """
    check_length(length, longest_input(model), setting)


def longest_row(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> int:
    """The longest sequence that both a model's positions and its tokenizer allow."""
    return int(min(longest_input(model), tokenizer.model_max_length))


def check_same_vocabulary(
    tokenizer: PreTrainedTokenizerFast,
    model: ModelSource,
    *,
    said: str = "the teacher is",
    whose: str = "the corpus",
    way_out: str = "leave corpus.tokenizer empty to use the teacher's",
) -> None:
    """Refuse a model of another vocabulary than the tokens it is to read: the ids would mean other words.

    The same word pieces are not enough: a cased model of an uncased corpus has never seen half of its ids.

    Args:
        tokenizer: of the tokens.
        model: that is to read them.
        said: what the model is, as the message begins.
        whose: the tokens are.
        way_out: how the message ends.

    Raises:
        ModelError: the model's own tokenizer has other pieces, or cleans or cuts text in another way; or it has none.
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
    """A text as the tokenizer cleans it and cuts it into words, before it looks for pieces."""
    backend = tokenizer.backend_tokenizer
    clean = backend.normalizer.normalize_str(text) if backend.normalizer else text
    return [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(clean)] if backend.pre_tokenizer else [clean]


def check_one_batch(batches: BatchPlan, section: str) -> None:
    """Refuse a corpus that does not fill one batch: it would be learned by heart, or is not the one that was meant.

    Args:
        batches: what the corpus is cut into.
        section: the configuration section whose ``training`` decides it.

    Raises:
        DataError: names what there is, the batch and the setting.
    """
    sequences = len(batches.lengths)
    if batches.max_tokens is None:
        there, wanted, what, key = sequences, batches.batch_size, "sequences", "batch_size"
    else:
        there = sequences * batches.pad_to if batches.pad_to else int(batches.lengths.sum())
        wanted, what, key = batches.max_tokens, "word pieces", "max_tokens"
    if there < wanted:
        raise DataError(
            f"the corpus has {there} {what}, fewer than one batch of {wanted}: "
            f"give more text, or lower {section}.training.{key}"
        )
