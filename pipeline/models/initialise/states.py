"""What teacher and student have computed so far, at one depth: the only activations of all tokens that are ever kept.

The cut goes through both models side by side, from the embeddings upwards. Each batch's states are replaced by those
one sub-layer higher, so that memory is tokens * (d + n) numbers however many layers there are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pipeline.models.initialise.moments import ChannelMoments
from pipeline.models.initialise.post_norm import copy_norm

Step = Callable[[Tensor, Tensor], Tensor]  # (states, mask) to states one sub-layer higher


@dataclass
class States:
    """The states of all batches at one depth.

    Attributes:
        masks: (batch, length), True for tokens, of each batch.
        teacher: (batch, length, d) of each batch.
        student: (batch, length, n) of each batch.
    """

    masks: list[Tensor] = field(default_factory=list)
    teacher: list[Tensor] = field(default_factory=list)
    student: list[Tensor] = field(default_factory=list)

    def append(self, mask: Tensor, teacher: Tensor, student: Tensor) -> None:
        """Add a batch."""
        self.masks.append(mask)
        self.teacher.append(teacher)
        self.student.append(student)

    def advance_teacher(self, step: Step) -> None:
        """Replace the teacher's states by those one step higher, batch by batch."""
        for index, mask in enumerate(self.masks):
            self.teacher[index] = step(self.teacher[index], mask)

    def advance_student(self, step: Step) -> None:
        """Replace the student's states by those one step higher, batch by batch."""
        for index, mask in enumerate(self.masks):
            self.student[index] = step(self.student[index], mask)

    def batches(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Mask, teacher states and student states of each batch."""
        return zip(self.masks, self.teacher, self.student, strict=True)

    def unexplained(self, basis: Tensor) -> float:
        """Share of the variance of the teacher's states, in the basis (d, n), that the student's miss; 0 to 1."""
        error = total = 0.0
        count, mean = 0, torch.zeros(basis.shape[1], dtype=torch.float64, device=basis.device)
        for mask, teacher, student in self.batches():
            target = teacher[mask].double() @ basis
            error += float((target - student[mask].double()).square().sum())
            total += float(target.square().sum())
            mean += target.sum(dim=0)
            count += len(target)
        variance = total - float(mean @ mean) / count
        return min(1.0, error / variance) if variance > 0 else 0.0

    @property
    def device(self) -> torch.device:
        """Where the states are."""
        return self.masks[0].device


def fit_norm(norm: nn.LayerNorm, states: States, basis: Tensor) -> float:
    """Fit a LayerNorm's gamma and beta to the teacher's states in the basis, and apply them to the student's states.

    Args:
        norm: of the student; in place.
        states: the student's are the LayerNorm's output with gamma 1 and beta 0.
        basis: B, (d, n).

    Returns:
        Share of the variance of the teacher's states in the basis that the student's do not explain, 0 to 1.
    """
    lines = ChannelMoments(basis.shape[1], states.device)
    for mask, teacher, student in states.batches():
        lines.add(student[mask], teacher[mask].double() @ basis)
    copy_norm(norm, *lines.line())
    states.advance_student(lambda normalised, _: normalised * norm.weight + norm.bias)
    return lines.unexplained()
