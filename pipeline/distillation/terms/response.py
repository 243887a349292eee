"""Terms on what a model answers: gold labels, a guide's logits, masked words."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.distillation.losses import soft_cross_entropy
from pipeline.distillation.terms.term import Batch, Term, count_of
from pipeline.features import IGNORED, MASKED_WORDS, OUTPUT, Moment, Outcome, Seen


class HardTerm(Term):
    """Cross-entropy with the gold labels, or squared error where a label is a number: ordinary fine-tuning.

    ``batch["labels"]`` is (batch,), class indices or numbers.

    Args:
        outcome: whether a row has a class or a value.
    """

    student_taps = (OUTPUT,)

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome

    def forward(self, student: Seen, _guide: Seen, batch: Batch, moment: Moment) -> Tensor:
        """See ``Term.forward``; the mean over rows."""
        logits = student[OUTPUT].float()
        rows = count_of(moment, "rows", len(logits))
        if self.outcome == "value":
            return F.mse_loss(logits.squeeze(-1), batch["labels"].float(), reduction="sum") / rows
        return F.cross_entropy(logits, batch["labels"], reduction="sum") / rows


class SoftTerm(Term):
    """Cross-entropy with the guide's softened distribution (equation 10), or squared error of values.

    Args:
        outcome: whether a row has a class or a value.
        temperature: t > 0; not used for values.
        mean_over_classes: divide by the number of classes as well, as the released code does.
    """

    student_taps = (OUTPUT,)
    guide_taps = (OUTPUT,)

    def __init__(self, outcome: Outcome, *, temperature: float = 1.0, mean_over_classes: bool = False) -> None:
        super().__init__()
        self.outcome = outcome
        self.temperature = temperature
        self.mean_over_classes = mean_over_classes

    def forward(self, student: Seen, guide: Seen, _batch: Batch, moment: Moment) -> Tensor:
        """See ``Term.forward``; the mean over rows."""
        own, wanted = student[OUTPUT], guide[OUTPUT]
        if self.outcome == "value":
            rows = count_of(moment, "rows", len(own))
            return F.mse_loss(own.float(), wanted.float(), reduction="sum") / rows
        return soft_cross_entropy(
            own,
            wanted,
            self.temperature,
            mean_over_classes=self.mean_over_classes,
            count=None if moment.counts is None else moment.counts["rows"],
        )


class MaskedWordTerm(Term):
    """Cross-entropy of masked word pieces, the mean over the masked positions of the step.

    ``batch["labels"]`` is (batch, length), ``IGNORED`` where nothing is predicted.
    """

    student_taps = (MASKED_WORDS,)

    def forward(self, student: Seen, _guide: Seen, batch: Batch, moment: Moment) -> Tensor:
        """See ``Term.forward``."""
        logits = student[MASKED_WORDS].float()
        if not len(logits):  # nothing but special tokens: the mean over no positions would not be a number
            return logits.sum()
        labels = batch["labels"]
        total = F.cross_entropy(logits, labels[masked_positions(labels)], reduction="sum")
        return total / count_of(moment, "predicted", len(logits))


def masked_positions(labels: Tensor) -> Tensor:
    """(batch, length), True where a word piece is to be predicted."""
    return torch.ne(labels, IGNORED)
