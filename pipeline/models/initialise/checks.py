"""Whether a student can be cut out of a teacher, decided from two configurations, without loading torch."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from pipeline.errors import ModelError

# Encoders that normalise after each sub-layer and keep query, key, value and both dense layers apart. MiniLM is a BERT.
POST_NORM = ("bert", "roberta", "electra", "xlm-roberta", "camembert")
OTHER_STARTS = "use start: general or start: random"


def check_family(family: str) -> None:
    """Refuse a teacher whose family cannot be cut.

    Args:
        family: ``model_type`` of the teacher's configuration.

    Raises:
        ModelError: names the families that can be cut and the other starts.
    """
    if family not in POST_NORM:
        raise ModelError(
            f"no student can be cut out of a {family!r} teacher, only out of BERT, RoBERTa, ELECTRA and MiniLM "
            f"encoders: {OTHER_STARTS}"
        )


def check_cut(name: str, student: Any, teacher: Any, layers: Sequence[int]) -> None:
    """Refuse a student that is larger than its teacher, or layers that the teacher does not have.

    Args:
        name: of the student, for messages.
        student: its configuration: ``model_type``, ``num_hidden_layers``, ``hidden_size``, ``num_attention_heads``,
            ``intermediate_size``, ``vocab_size``, ``max_position_embeddings``.
        teacher: the teacher's configuration, the same attributes.
        layers: the 1-based teacher layer that each student layer is cut out of.

    Raises:
        ModelError: says which number does not fit, with both values and the way out.
    """
    check_family(teacher.model_type)
    check_layers(name, tuple(layers), student.num_hidden_layers, teacher.num_hidden_layers)
    check_width(name, student.hidden_size, teacher.hidden_size)
    larger = (
        ("intermediate_size", "wide in its feed-forward layers", "a smaller intermediate"),
        ("max_position_embeddings", "positions long", "fewer positions"),
    )
    for attribute, what, way_out in larger:
        own, most = getattr(student, attribute), getattr(teacher, attribute)
        if own > most:
            raise ModelError(
                f"student {name!r} is {own} {what}, its teacher {most}, and only a smaller model can be cut out of a "
                f"larger one: choose {way_out}, or {OTHER_STARTS}"
            )
    if student.hidden_size % student.num_attention_heads:
        raise ModelError(
            f"student {name!r} is {student.hidden_size} wide, not a multiple of its {student.num_attention_heads} heads"
            ": choose a width that is"
        )
    own_embedding = getattr(student, "embedding_size", student.hidden_size)
    most_embedding = getattr(teacher, "embedding_size", teacher.hidden_size)
    if own_embedding > most_embedding:
        raise ModelError(
            f"student {name!r} has embeddings {own_embedding} wide, its teacher {most_embedding}: choose a smaller "
            f"embedding_size, or {OTHER_STARTS}"
        )
    for attribute in ("model_type", "vocab_size", "type_vocab_size", "hidden_act", "layer_norm_eps"):
        own, others = getattr(student, attribute, None), getattr(teacher, attribute, None)
        if own != others:
            raise ModelError(
                f"student {name!r} has {attribute} {own!r}, its teacher {others!r}: a student that is cut out of its "
                f"teacher keeps it; build its configuration from the teacher's, or {OTHER_STARTS}"
            )


def check_width(name: str, own: int, most: int) -> None:
    """Refuse a student that is wider than its teacher.

    Args:
        name: of the student.
        own: its width.
        most: the teacher's.

    Raises:
        ModelError: names both numbers.
    """
    if own > most:
        raise ModelError(
            f"student {name!r} is {own} wide, its teacher {most}, and only a smaller model can be cut out of a "
            f"larger one: choose a smaller hidden, or {OTHER_STARTS}"
        )


def check_layers(name: str, layers: tuple[int, ...], student_layers: int, teacher_layers: int) -> None:
    """Refuse layers that a student cannot be cut out of.

    Args:
        name: of the student.
        layers: the 1-based teacher layer that each student layer is cut out of.
        student_layers: of the student.
        teacher_layers: of the teacher.

    Raises:
        ModelError: the student is deeper, a layer is not there, or they do not increase.
    """
    if student_layers > teacher_layers:
        raise ModelError(
            f"student {name!r} has {student_layers} layers, its teacher {teacher_layers}, and only a smaller model can "
            f"be cut out of a larger one: choose at most {teacher_layers} layers, or {OTHER_STARTS}"
        )
    if len(layers) != student_layers:
        raise ModelError(
            f"student {name!r} has {student_layers} layers but is cut out of {len(layers)} teacher layers {layers}: "
            "name one teacher layer for each student layer"
        )
    absent = [layer for layer in layers if not 1 <= layer <= teacher_layers]
    if absent:
        raise ModelError(
            f"student {name!r} is to be cut out of teacher layer {absent[0]}, which the teacher does not have: "
            f"choose from 1 to {teacher_layers}"
        )
    if any(later <= earlier for earlier, later in pairwise(layers)):
        raise ModelError(
            f"student {name!r} is to be cut out of teacher layers {layers}, which do not increase: name each layer "
            "once, from the lowest to the highest"
        )
