"""Pseudo-perplexity: how improbable a text is to a masked language model that has each piece masked in turn.

PLL(W) = sum_t log P(w_t | W without w_t);  PPPL = exp(-1/N sum PLL)    (Salazar et al. 2020, arXiv:1910.14659)
"""

from collections.abc import Callable, Sequence
from math import exp
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pipeline.augmentation.words.template import build_template, equal_length_batches

MOST_PIECES = 128  # of a text that are read: the passes over a text grow with the square of its length
BATCH_TOKENS = 4_096
LARGEST = 700.0  # nats; its exponential still is a number
BATCH_ROWS = 512  # logits held at once: 60 MB for 30,000 word pieces


class Likelihood(NamedTuple):
    """Pseudo-log-likelihood of a text (nats), and the word pieces it is the sum over."""

    total: float
    pieces: int


class _Hidden(NamedTuple):
    """Text number ``text``, framed, with the piece at ``place`` hidden."""

    text: int
    place: int
    length: int


def pseudo_log_likelihoods(
    texts: Sequence[str],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    *,
    head: Callable[[Tensor], Tensor],
    device: torch.device | str = "cpu",
) -> list[Likelihood]:
    """Return PLL of each text; special tokens are read, but not counted.

    Args:
        texts: read up to their first ``MOST_PIECES`` pieces.
        model: the encoder; on ``device``, in evaluation mode.
        tokenizer: its tokenizer, which has a mask token.
        head: its MLM head: (rows, hidden) to (rows, vocabulary).
        device: where the model is.
    """
    template = build_template(model, tokenizer)
    most = min(MOST_PIECES, template.max_pieces)
    pieces = [ids[:most] for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]] if texts else []
    framed = [template.frame(ids, None) for ids in pieces]
    totals = [0.0] * len(texts)
    hidden = [
        _Hidden(text, template.start + piece, len(framed[text][0]))
        for text, ids in enumerate(pieces)
        for piece in range(len(ids))
    ]
    with torch.inference_mode():
        for batch in equal_length_batches(hidden, BATCH_TOKENS, BATCH_ROWS):
            rows, places = list(range(len(batch))), [item.place for item in batch]
            inputs = template.inputs(torch.tensor([framed[item.text] for item in batch], device=device))
            true = inputs["input_ids"][rows, places]
            inputs["input_ids"][rows, places] = tokenizer.mask_token_id
            states = model.base_model(**inputs)[0][rows, places]
            likelihoods = head(states).float().log_softmax(dim=-1)[rows, true].tolist()
            for item, likelihood in zip(batch, likelihoods, strict=True):
                totals[item.text] += likelihood
    return [Likelihood(total, len(ids)) for total, ids in zip(totals, pieces, strict=True)]


def pseudo_perplexity(likelihoods: Sequence[Likelihood]) -> float | None:
    """Return PPPL of a corpus; None if it has no piece."""
    pieces = sum(likelihood.pieces for likelihood in likelihoods)
    return exp(min(-sum(likelihood.total for likelihood in likelihoods) / pieces, LARGEST)) if pieces else None


def affordable(lengths: Sequence[tuple[int, ...]], budget: int) -> int:
    """Return how many items, in order, can be read with ``budget`` tokens; at least one if there are any.

    Args:
        lengths: for each item, the number of pieces of each of its texts; a text is read once for each of its pieces.
        budget: number of tokens.
    """
    spent = 0
    for count, item in enumerate(lengths):
        spent += sum(min(length, MOST_PIECES) ** 2 for length in item)
        if spent > budget:
            return max(1, count)
    return len(lengths)
