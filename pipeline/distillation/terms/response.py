"""Terms on what a model answers: gold labels, a guide's logits, masked words."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.distillation.losses import soft_cross_entropy
from pipeline.distillation.schedules import Number, at
from pipeline.distillation.terms.term import Batch, Term, count_of
from pipeline.features import IGNORED, MASKED_WORDS, OUTPUT, Moment, Outcome, Seen


class HardTerm(Term):
    """Cross-entropy with the gold labels, or squared error where a label is a number: ordinary fine-tuning.

    ``batch["labels"]`` is (batch,): class indices, or numbers. A row whose label is ``IGNORED``, or not a number, adds
    nothing.

    Args:
        outcome: whether a row has a class or a value.
    """

    student_taps = (OUTPUT,)

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome

    def forward(self, student: Seen, _guide: Seen, batch: Batch, moment: Moment) -> Tensor:
        """See ``Term.forward``; the mean over the rows that have a label."""
        logits, labels = student[OUTPUT].float(), batch["labels"]
        known = ~labels.isnan() if self.outcome == "value" else labels != IGNORED
        rows = max(1.0, count_of(moment, "labelled", float(known.sum())))
        if self.outcome == "value":
            values = logits.squeeze(-1)
            return F.mse_loss(values[known], labels[known].float(), reduction="sum") / rows
        return F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum") / rows


class SoftTerm(Term):
    """Cross-entropy with the guide's softened distribution (equation 10), or squared error of values.

    Args:
        outcome: whether a row has a class or a value.
        temperature: t > 0; not used for values.
        squared_temperature: multiply by t^2: gradients shrink by 1/t^2 otherwise (Hinton et al. 2015, section 2).
        mean_over_classes: divide by the number of classes as well, as TinyBERT's released code does.
    """

    student_taps = (OUTPUT,)
    guide_taps = (OUTPUT,)

    def __init__(
        self,
        outcome: Outcome,
        *,
        temperature: Number = 1.0,
        squared_temperature: bool = False,
        mean_over_classes: bool = False,
    ) -> None:
        super().__init__()
        self.outcome = outcome
        self.temperature = temperature
        self.squared_temperature = squared_temperature
        self.mean_over_classes = mean_over_classes

    def forward(self, student: Seen, guide: Seen, _batch: Batch, moment: Moment) -> Tensor:
        """See ``Term.forward``; the mean over rows."""
        own, wanted = student[OUTPUT], guide[OUTPUT]
        if self.outcome == "value":
            rows = count_of(moment, "rows", len(own))
            return F.mse_loss(own.float(), wanted.float(), reduction="sum") / rows
        temperature = at(self.temperature, moment.progress)
        loss = soft_cross_entropy(
            own,
            wanted,
            temperature,
            mean_over_classes=self.mean_over_classes,
            count=None if moment.counts is None else moment.counts["rows"],
        )
        return loss * temperature**2 if self.squared_temperature else loss


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
