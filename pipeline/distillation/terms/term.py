"""A term of a loss: a module that compares what a student shows with what a guide shows.

The pure function of the loss lies in ``losses.py`` or ``attention_loss.py``; a term is the thin class that knows which
taps it reads and owns what has to be learned to compare them, a projection for example.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from pipeline.features import Moment, Seen, Tap

Batch = Mapping[str, Tensor]


class Term(nn.Module, ABC):
    """One summand of a loss.

    Attributes:
        student_taps: what is read from the student.
        guide_taps: what is read from the guide; empty for a term that learns from labels.
        counts_padding: whether padding counts in its means, so that a step must not depend on how it is padded.
        windows: distances of local attention within which it needs pairs of tokens counted.
    """

    student_taps: tuple[Tap, ...] = ()
    guide_taps: tuple[Tap, ...] = ()
    counts_padding: bool = False
    windows: frozenset[int] = frozenset()

    @abstractmethod
    def forward(self, student: Seen, guide: Seen, batch: Batch, moment: Moment) -> Tensor:
        """The loss of a batch, a scalar: a sum over the rows at hand divided by a count of the whole step.

        Args:
            student: the tensors of ``student_taps``.
            guide: the tensors of ``guide_taps``, without gradients.
            batch: attention_mask (batch, length) and, for terms that learn from labels, labels.
            moment: counts of the whole step and progress of the training.
        """

    def flops(self, _counts: Mapping[str, float]) -> float:
        """Floating-point operations of the term's own products in one forward pass over these counts."""
        return 0.0


def count_of(moment: Moment, name: str, otherwise: float) -> float:
    """A count of the whole step; ``otherwise``, the count at hand, where the step is not known."""
    return otherwise if moment.counts is None else moment.counts[name]
