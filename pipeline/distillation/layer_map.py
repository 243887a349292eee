"""A layer map g says which teacher layer each student layer imitates: g(m) for m = 1..M.

g(0) = 0 (embeddings) and g(M + 1) = N + 1 (prediction) are implied (Jiao et al. 2020, section 3.1).
"""

from collections.abc import Sequence
from itertools import pairwise


def uniform(student_layers: int, teacher_layers: int) -> tuple[int, ...]:
    """g(m) = m N / M, rounded half up, at least 1; the last layer always imitates the last.

    Layer counts need not divide.
    """
    return tuple(
        max(1, (2 * m * teacher_layers + student_layers) // (2 * student_layers)) for m in range(1, student_layers + 1)
    )


def top(student_layers: int, teacher_layers: int) -> tuple[int, ...]:
    """g(m) = m + N - M: the teacher's last layers (at least 1 where the student is deeper)."""
    return tuple(max(1, m + teacher_layers - student_layers) for m in range(1, student_layers + 1))


def bottom(student_layers: int, teacher_layers: int) -> tuple[int, ...]:
    """g(m) = m: the teacher's first layers (at most N where the student is deeper)."""
    return tuple(min(m, teacher_layers) for m in range(1, student_layers + 1))


STRATEGIES = {"uniform": uniform, "top": top, "bottom": bottom}


def layer_map(strategy: str | Sequence[int], student_layers: int, teacher_layers: int) -> tuple[int, ...]:
    """The map for a named strategy or an explicit list of teacher layers.

    Raises:
        ValueError: an explicit list has the wrong length, names a layer that is not there, or goes back.
    """
    if isinstance(strategy, str):
        return STRATEGIES[strategy](student_layers, teacher_layers)
    explicit = tuple(strategy)
    if len(explicit) != student_layers:
        msg = f"layer map {explicit} has {len(explicit)} entries for {student_layers} student layers: give one a layer"
        raise ValueError(msg)
    if any(not 1 <= layer <= teacher_layers for layer in explicit):
        msg = f"layer map {explicit} names a layer outside 1..{teacher_layers}, the teacher's layers"
        raise ValueError(msg)
    if any(later < earlier for earlier, later in pairwise(explicit)):
        msg = f"layer map {explicit} goes back: teacher layers must not decrease"
        raise ValueError(msg)
    return explicit
