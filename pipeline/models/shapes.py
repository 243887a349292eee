"""A student's shape beside its teacher's: what can be decided from two configurations, without loading torch."""

from typing import Protocol

from pipeline.config.models import PRESETS, Shape, StudentConfig, heads_misfit
from pipeline.errors import ModelError


class HasHeads(Protocol):
    """A model's configuration, as far as its attention heads go."""

    @property
    def num_attention_heads(self) -> int:
        """Heads of each layer."""


def student_shape(student: StudentConfig, teacher: HasHeads) -> Shape:
    """The student's shape, its heads taken from the teacher when none are given.

    Raises:
        ModelError: the width is not a multiple of the heads; names widths that are.
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
        layers=student.layers or 0,
        hidden=hidden,
        heads=heads,
        intermediate=student.intermediate or 4 * hidden,
    )


def check_heads(name: str, heads: int, teacher: HasHeads) -> None:
    """Attention scores are compared head by head, so both models need the same number.

    Raises:
        ModelError: they differ; names the choices.
    """
    wanted = teacher.num_attention_heads
    if heads != wanted:
        raise ModelError(
            f"teacher has {wanted} attention heads, student {name!r} {heads}: give it {wanted} heads "
            f"(hidden a multiple of {wanted}), or set terms.attention to 0"
        )
