"""What a model answers, as cases over choices: every loss on answers is written once for all kinds of tasks.

A case is one question put to the model, a choice one possible answer to it. A classifier answers one case a row, over
its classes; a masked-LM head one case a masked position, over the word pieces. Where the answer is a number there are
no choices, and the loss is a squared error.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.features import IGNORED, MASKED_WORDS, OUTPUT, Outcome, Tap


@dataclass(frozen=True)
class Answers:
    """How the answers of one outcome are read from a batch.

    Attributes:
        tap: what a model shows of them, one line a case: (cases, choices), or (cases, 1) of numbers.
        has_choices: false where an answer is a number.
        cases: name of the count of all cases of a step (``Moment.counts``).
        known: name of the count of those with a gold answer.
    """

    tap: Tap
    has_choices: bool
    cases: str
    known: str


ANSWERS: Mapping[Outcome, Answers] = {
    "classes": Answers(OUTPUT, has_choices=True, cases="rows", known="labelled"),
    "value": Answers(OUTPUT, has_choices=False, cases="rows", known="labelled"),
    "masked_words": Answers(MASKED_WORDS, has_choices=True, cases="predicted", known="predicted"),
}


def gold_answers(outcome: Outcome, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The gold answer of each case, and whether it is known; both (cases,).

    Args:
        outcome: what a row has.
        batch: its ``labels`` are (batch,) class indices or numbers, or (batch, length) of masked words; ``IGNORED``
            or NaN where none is known.
    """
    labels = batch["labels"]
    if outcome == "masked_words":
        labels = labels[masked_positions(labels)]
    return labels, torch.ne(labels, IGNORED) if ANSWERS[outcome].has_choices else ~labels.isnan()


def masked_positions(labels: Tensor) -> Tensor:
    """(batch, length), True where a word piece is to be predicted."""
    return torch.ne(labels, IGNORED)
