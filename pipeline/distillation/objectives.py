"""An objective turns the features of a student and its teacher into named, weighted loss terms."""

from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor, nn

from pipeline.distillation.attention_loss import attention_score_loss
from pipeline.distillation.features import Features
from pipeline.distillation.losses import masked_mse


class TransformerObjective(nn.Module):
    """Embedding, hidden-state and attention-score losses, with the projections they learn.

    The projections W_e and W_h (student width to teacher width) exist only while distilling; they
    are no part of the student.

    Args:
        student_width: d' of the student's hidden states.
        teacher_width: d of the teacher's.
        embedding: weight of the embedding loss; 0 leaves the term out.
        hidden: weight of the hidden-state loss, averaged over the mapped layers' sum.
        attention: weight of the attention-score loss.
        shared_projection: one matrix for embeddings and hidden states, as in the released code.
        count_padding: padding counts in the means, as in the released code.
        windows: for each mapped layer, the tokens it sees on either side of a token, None for the whole row;
            empty where all see the whole row.
    """

    def __init__(
        self,
        student_width: int,
        teacher_width: int,
        *,
        embedding: float = 1.0,
        hidden: float = 1.0,
        attention: float = 1.0,
        shared_projection: bool = False,
        count_padding: bool = False,
        windows: Sequence[int | None] = (),
    ) -> None:
        super().__init__()
        self.windows = tuple(windows)
        self.weights = {"embedding": embedding, "hidden": hidden, "attention": attention}
        self.count_padding = count_padding
        self.hidden_projection = nn.Linear(student_width, teacher_width, bias=False)
        self.embedding_projection = (
            self.hidden_projection if shared_projection else nn.Linear(student_width, teacher_width, bias=False)
        )

    def forward(
        self, student: Features, teacher: Features, mask: Tensor, counts: Mapping[str, float] | None = None
    ) -> dict[str, Tensor]:
        """The weighted terms; each sums over the mapped layers, as in equation 11.

        Args:
            student: features of the mapped layers.
            teacher: the same of the teacher, no grad.
            mask: (batch, length), True for tokens.
            counts: tokens and pairs (positions and position_pairs where padding counts; of a local layer
                those within its window, as pairs_64) of the whole step, of which these rows are a part; None
                counts the rows at hand.
        """
        token_mask = None if self.count_padding else mask
        tokens, pairs = ("positions", "position_pairs") if self.count_padding else ("tokens", "pairs")
        token_count = None if counts is None else counts[tokens]
        terms: dict[str, Tensor] = {}
        if self.weights["embedding"]:
            projected = self.embedding_projection(student.embedding)
            terms["embedding"] = masked_mse(projected, teacher.embedding, token_mask, count=token_count)
        if self.weights["hidden"]:
            terms["hidden"] = _total(
                masked_mse(self.hidden_projection(s), t, token_mask, count=token_count)
                for s, t in zip(student.hidden_states, teacher.hidden_states, strict=True)
            )
        if self.weights["attention"]:
            terms["attention"] = _total(
                attention_score_loss(
                    s,
                    t,
                    mask,
                    count_padding=self.count_padding,
                    count=None if counts is None else counts[pairs if window is None else f"{pairs}_{window}"],
                    window=window,
                )
                for s, t, window in zip(
                    student.attention, teacher.attention, self.windows or (None,) * len(student.attention), strict=True
                )
            )
        return weighted(terms, self.weights)


def weighted(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> dict[str, Tensor]:
    """Each term times its weight."""
    return {name: term * weights[name] for name, term in terms.items()}


def _total(values: Iterable[Tensor]) -> Tensor:
    first, *rest = values
    for value in rest:
        first = first + value
    return first
