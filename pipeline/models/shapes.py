"""Compare a student's shape with its teacher's, from their configurations, without torch."""

from typing import Protocol

from pipeline.config.models import PRESETS, Shape, StudentConfig, heads_misfit
from pipeline.errors import ModelError


class HasHeads(Protocol):
    """A model configuration that has a number of attention heads."""

    @property
    def num_attention_heads(self) -> int:
        """Number of attention heads of each layer."""


def student_shape(student: StudentConfig, teacher: HasHeads) -> Shape:
    """Return the student's shape, with the teacher's number of heads if the student names none.

    Args:
        student: configured shape of the student.
        teacher: configuration of the teacher.

    Raises:
        ModelError: the hidden size is not a multiple of the number of heads; names sizes that are.
    """
    if student.preset:
        return PRESETS[student.preset]
    heads = student.heads or teacher.num_attention_heads
    hidden = student.hidden or 0
    if hidden % heads:
        raise ModelError(
            f"student {student.name!r} is {hidden} wide, not a multiple of its {heads} heads: "
            f"{heads_misfit(hidden, heads)}"
        )
    return Shape(
        layers=student.layers or 0, hidden=hidden, heads=heads, intermediate=student.intermediate or 4 * hidden
    )


def check_heads(name: str, heads: int, teacher: HasHeads) -> None:
    """Refuse a student with another number of heads: attention scores are compared head by head.

    Args:
        name: name of the student, for messages.
        heads: the student's number of heads.
        teacher: configuration of the teacher.

    Raises:
        ModelError: the numbers differ; names both and how to mend it.
    """
    required = teacher.num_attention_heads
    if heads != required:
        raise ModelError(
            f"teacher has {required} attention heads, student {name!r} {heads}: give it {required} heads "
            f"(hidden a multiple of {required}), or set terms.attention to 0"
        )
