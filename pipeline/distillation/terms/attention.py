"""The term on attention scores, compared head by head before the softmax."""

from collections.abc import Iterable, Sequence

from torch import Tensor

from pipeline.distillation.attention_loss import Attention, attention_score_loss
from pipeline.distillation.terms.hidden import Link, sum_in_order
from pipeline.distillation.terms.term import Batch, Term
from pipeline.features import Moment, Seen, Tap


class AttentionTerm(Term):
    """Mean squared error of attention scores, summed over linked layers (equation 7).

    Args:
        links: which student layer imitates which guide layer; both have as many heads.
        reaches: for each link, the tokens that its layers see on either side of a token, None for the whole row;
            empty where all see the whole row.
        count_padding: padded queries count in the means, as in the released code.
    """

    def __init__(
        self, links: Sequence[Link], reaches: Sequence[int | None] = (), *, count_padding: bool = False
    ) -> None:
        super().__init__()
        self.links = tuple(links)
        self.reaches = tuple(reaches) or (None,) * len(self.links)
        self.windows = frozenset(reach for reach in self.reaches if reach is not None)
        self.counts_padding = count_padding
        self.student_taps = factors(own for own, _ in links)
        self.guide_taps = factors(other for _, other in links)

    def forward(self, student: Seen, guide: Seen, batch: Batch, moment: Moment) -> Tensor:
        """See ``Term.forward``; the mean over pairs of real tokens (of positions where padding counts) and heads.

        Of a local layer the mean is over the pairs within its reach, counted as ``pairs_64`` for example.
        """
        name = "position_pairs" if self.counts_padding else "pairs"
        losses = [
            attention_score_loss(
                attention(student, own),
                attention(guide, other),
                batch["attention_mask"],
                count_padding=self.counts_padding,
                count=None if moment.counts is None else moment.counts[name if reach is None else f"{name}_{reach}"],
                window=reach,
            )
            for (own, other), reach in zip(self.links, self.reaches, strict=True)
        ]
        return sum_in_order(losses)


def factors(layers: Iterable[int]) -> tuple[Tap, ...]:
    """The query and key taps of some layers."""
    return tuple(tap for layer in layers for tap in (Tap("query", layer), Tap("key", layer)))


def attention(seen: Seen, layer: int) -> Attention:
    """Query and key of a layer."""
    return Attention(seen[Tap("query", layer)], seen[Tap("key", layer)])
