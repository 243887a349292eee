"""Terms on what a model answers: gold answers, and a guide's."""

from torch import Tensor
from torch.nn import functional as F

from pipeline.distillation.losses import soft_cross_entropy
from pipeline.distillation.outcome import ANSWERS, gold_answers
from pipeline.distillation.schedules import Number, at
from pipeline.distillation.terms.term import Batch, Term, count_of
from pipeline.features import IGNORED, Moment, Outcome, Seen


class HardTerm(Term):
    """Cross-entropy with the gold answers, or their squared error where they are numbers.

    Of classes or numbers it is ordinary fine-tuning, of masked words ordinary pretraining. A case without a gold answer
    adds nothing.

    Args:
        outcome: what a row has.
    """

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome
        self.student_taps = (ANSWERS[outcome].tap,)

    def forward(self, student: Seen, _guide: Seen, batch: Batch, moment: Moment) -> Tensor:
        """See ``Term.forward``; the mean over the cases whose gold answer is known."""
        answers = ANSWERS[self.outcome]
        logits, (gold, known) = student[answers.tap].float(), gold_answers(self.outcome, batch)
        if not len(logits):  # the mean over no case at all would not be a number
            return logits.sum()
        cases = max(1.0, count_of(moment, answers.known, float(known.sum())))
        if answers.has_choices:
            return F.cross_entropy(logits, gold, ignore_index=IGNORED, reduction="sum") / cases
        return F.mse_loss(logits.squeeze(-1)[known], gold[known].float(), reduction="sum") / cases


class SoftTerm(Term):
    """Cross-entropy with the guide's softened distribution (equation 10), or squared error of numbers.

    Args:
        outcome: what a row has.
        temperature: t > 0; not used for numbers.
        squared_temperature: multiply by t^2: gradients shrink by 1/t^2 otherwise (Hinton et al. 2015, section 2).
        mean_over_classes: divide by the number of choices as well, as TinyBERT's released code does.
    """

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
        self.student_taps = self.guide_taps = (ANSWERS[outcome].tap,)
        self.temperature = temperature
        self.squared_temperature = squared_temperature
        self.mean_over_classes = mean_over_classes

    def forward(self, student: Seen, guide: Seen, _batch: Batch, moment: Moment) -> Tensor:
        """See ``Term.forward``; the mean over cases."""
        answers = ANSWERS[self.outcome]
        own, wanted = student[answers.tap], guide[answers.tap]
        cases = count_of(moment, answers.cases, len(own))
        if not answers.has_choices:
            return F.mse_loss(own.float(), wanted.float(), reduction="sum") / cases
        temperature = at(self.temperature, moment.progress)
        loss = soft_cross_entropy(
            own,
            wanted,
            temperature,
            mean_over_classes=self.mean_over_classes,
            count=None if moment.counts is None else cases,
        )
        return loss * temperature**2 if self.squared_temperature else loss
