"""An objective is a set of named, weighted terms: what a student learns from in one phase."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

from torch import Tensor, nn

from pipeline.distillation.schedules import Number, at
from pipeline.distillation.terms.term import Batch, Term
from pipeline.features import Moment, Seen, Tap

NOTHING_SEEN: Seen = {}


class Part(NamedTuple):
    """A term under a name of its own.

    Attributes:
        name: under which its loss is logged.
        term: what is compared.
        weight: factor of the loss, perhaps one that moves with the training's progress; not 0 throughout.
        guide: name of the guide that the term learns from; empty for one that learns from labels.
    """

    name: str
    term: Term
    weight: Number = 1.0
    guide: str = ""


class Objective(nn.Module):
    """The weighted terms of a phase; the terms' parameters are trained along with the student.

    Args:
        parts: in the order in which their losses are added up.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__()
        self.parts = tuple(parts)
        self.terms = nn.ModuleDict({part.name: part.term for part in self.parts})

    @property
    def student_taps(self) -> tuple[Tap, ...]:
        """What the terms read from the student, each tap once, sorted."""
        return tuple(sorted({tap for part in self.parts for tap in part.term.student_taps}))

    def guide_taps(self, guide: str) -> tuple[Tap, ...]:
        """What the terms read from a guide, each tap once, sorted."""
        return tuple(sorted({tap for part in self.parts if part.guide == guide for tap in part.term.guide_taps}))

    @property
    def counts_padding(self) -> bool:
        """Whether padding counts in any term's means."""
        return any(part.term.counts_padding for part in self.parts)

    @property
    def windows(self) -> frozenset[int]:
        """Distances of local attention within which any term needs pairs of tokens counted."""
        return frozenset().union(*(part.term.windows for part in self.parts))

    def forward(self, student: Seen, guides: Mapping[str, Seen], batch: Batch, moment: Moment) -> dict[str, Tensor]:
        """The weighted loss of each term, by name.

        Args:
            student: the tensors of ``student_taps``.
            guides: what each guide shows of the same batch, by its name.
            batch: see ``Term.forward``.
            moment: see ``Term.forward``.
        """
        return {
            part.name: part.term(student, guides.get(part.guide, NOTHING_SEEN), batch, moment)
            * at(part.weight, moment.progress)
            for part in self.parts
        }

    def flops(self, counts: Mapping[str, float]) -> float:
        """Floating-point operations of the terms' own products in one forward pass over these counts."""
        return sum(cast("Term", term).flops(counts) for term in self.terms.values())
