"""Terms on embeddings and hidden states, compared layer by layer after a learned projection."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from pipeline.distillation.losses import masked_mse
from pipeline.distillation.terms.term import Batch, Term
from pipeline.features import Moment, Seen, hidden_state

Link = tuple[int, int]  # student layer, guide layer; 0 is the embedding layer's output


class HiddenTerm(Term):
    """Mean squared error of projected hidden states, summed over linked layers (equations 8 and 9).

    Args:
        links: which student layer imitates which guide layer.
        projection: student width to guide width; it exists only while distilling and is no part of the student.
        count_padding: padding counts in the means, as in the released code.
    """

    def __init__(self, links: Sequence[Link], projection: nn.Linear, *, count_padding: bool = False) -> None:
        super().__init__()
        self.projection = projection
        self.counts_padding = count_padding
        self.student_taps = tuple(hidden_state(own) for own, _ in links)
        self.guide_taps = tuple(hidden_state(other) for _, other in links)

    def forward(self, student: Seen, guide: Seen, batch: Batch, moment: Moment) -> Tensor:
        """See ``Term.forward``; the mean over real tokens (positions where padding counts) and the guide's width."""
        mask = None if self.counts_padding else batch["attention_mask"]
        name = "positions" if self.counts_padding else "tokens"
        count = None if moment.counts is None else moment.counts[name]
        losses = [
            masked_mse(self.projection(student[own]), guide[other], mask, count=count)
            for own, other in zip(self.student_taps, self.guide_taps, strict=True)
        ]
        return sum_in_order(losses)

    def flops(self, counts: Mapping[str, float]) -> float:
        """Of the projection, once a linked layer."""
        return 2 * counts["tokens"] * self.projection.weight.numel() * len(self.student_taps)


def sum_in_order(losses: Sequence[Tensor]) -> Tensor:
    """The sum, added up from the first to the last: sums of floats depend on their order."""
    total, *rest = losses
    for loss in rest:
        total = total + loss
    return total
