"""Pseudo-perplexity says how strange a text looks to a masked language model, each of its pieces hidden in turn.

PLL(W) = sum_t log P(w_t | W without w_t);  PPPL = exp(-1/N sum PLL)    (Salazar et al. 2020, arXiv:1910.14659)
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from math import exp
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pipeline.augmentation.words.template import build_template

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
    """PLL of each text; special tokens are seen, but not counted.

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
        for batch in _batches(hidden):
            rows = list(range(len(batch)))
            places = [each.place for each in batch]
            ids = torch.tensor([framed[each.text][0] for each in batch], device=device)
            true = ids[rows, places]
            ids[rows, places] = tokenizer.mask_token_id
            given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            if template.has_types:
                given["token_type_ids"] = torch.tensor([framed[each.text][1] for each in batch], device=device)
            states = model.base_model(**given)[0][rows, places]
            said = head(states).float().log_softmax(dim=-1)[rows, true].tolist()
            for each, value in zip(batch, said, strict=True):
                totals[each.text] += value
    return [Likelihood(total, len(ids)) for total, ids in zip(totals, pieces, strict=True)]


def pseudo_perplexity(likelihoods: Sequence[Likelihood]) -> float | None:
    """PPPL of a corpus; None where it has no piece."""
    pieces = sum(each.pieces for each in likelihoods)
    return exp(min(-sum(each.total for each in likelihoods) / pieces, LARGEST)) if pieces else None


def affordable(lengths: Sequence[tuple[int, ...]], budget: int) -> int:
    """How many of some items, in order, are read for ``budget`` tokens; at least one where there are any.

    Args:
        lengths: of each item the pieces of its texts; a text is read once for each of its pieces.
        budget: tokens.
    """
    spent = 0
    for count, item in enumerate(lengths):
        spent += sum(min(length, MOST_PIECES) ** 2 for length in item)
        if spent > budget:
            return max(1, count)
    return len(lengths)


def _batches(hidden: list[_Hidden]) -> Iterator[list[_Hidden]]:
    """Rows of one length, so that nothing is padded."""
    ordered = sorted(hidden, key=lambda each: each.length)
    for length, alike in groupby(ordered, key=lambda each: each.length):
        same = list(alike)
        size = max(1, min(BATCH_ROWS, BATCH_TOKENS // length))
        yield from (same[begin : begin + size] for begin in range(0, len(same), size))
