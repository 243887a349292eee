"""What a student is before it is built: its identity, its start, its seed, and the teacher layers it imitates.

Nothing here loads a model; a run is planned with it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from pipeline.config.models import PRESETS, STARTS, USUAL_DROPOUT, StudentConfig
from pipeline.distillation.layer_map import layer_map
from pipeline.engine.inputs import model_source
from pipeline.errors import ModelError
from pipeline.models.described import NAMES, describe, dropout_of, shape_of
from pipeline.models.shapes import student_shape
from pipeline.store.source import Source

if TYPE_CHECKING:
    from transformers import PretrainedConfig

NAMED = STARTS


def folder(artifact: Path, student: StudentConfig) -> Path:
    """Where an artifact keeps a student."""
    return artifact / "students" / student.name


def start_sources(students: Sequence[StudentConfig]) -> dict[str, Source]:
    """The models that students start from and that no stage makes, by role."""
    return {start_role(student): model_source(student.start) for student in students if student.start not in NAMED}


def identities(students: Sequence[StudentConfig]) -> tuple[StudentConfig, ...]:
    """The students as what they are, however that was written.

    The models they start from are inputs of their own, so their places do not count; a default that is stated is no
    other student than one that is left out.

    Raises:
        ModelError: a student is said to have another shape than the folder it starts from.
    """
    return tuple(map(_identity, students))


def _identity(student: StudentConfig) -> StudentConfig:
    if student.start in NAMED:
        return student.model_copy(update=_shape_as_written_shortest(student) | {"dropout": dropout(student)})
    described = describe(student.start)
    if described is None:  # what is stated is compared once the model is there
        return student.model_copy(update={"start": "model"})
    check_stated(student, described)
    return student.model_copy(update={"start": "model", "preset": None, **dict.fromkeys((*NAMES, "dropout"))})


def _shape_as_written_shortest(student: StudentConfig) -> dict[str, Any]:
    """A preset that was spelt out by its name, and a usual feed-forward width not at all."""
    if student.preset or not student.hidden:
        return {}
    width = student.intermediate or 4 * student.hidden
    written = (student.layers, student.hidden, student.heads, width)
    preset = next((name for name, shape in PRESETS.items() if tuple(dict(shape).values()) == written), None)
    if preset:
        return {"preset": preset, **dict.fromkeys(NAMES)}
    return {"intermediate": None if width == 4 * student.hidden else width}


def dropout(student: StudentConfig) -> float:
    """The dropout of a student that starts from no model of its own."""
    return USUAL_DROPOUT if student.dropout is None else student.dropout


def check_stated(student: StudentConfig, described: Mapping[str, Any]) -> None:
    """Refuse a shape or dropout that the model a student starts from does not have; it would be ignored.

    Args:
        student: that starts from a model.
        described: the configuration of that model.

    Raises:
        ModelError: names both numbers and the way out.
    """
    stated = dict(PRESETS[student.preset]) if student.preset else {name: getattr(student, name) for name in NAMES}
    own = {**shape_of(described), "dropout": dropout_of(described)}
    for name, wanted in {**stated, "dropout": student.dropout}.items():
        there = own.get(name)
        if wanted is not None and there is not None and wanted != there:
            said = f"preset {student.preset!r} ({name} {wanted})" if name in stated and student.preset else ""
            raise ModelError(
                f"student {student.name!r} has {said or f'{name} {wanted}'} but starts from {student.start}, which has "
                f"{name} {there}: leave the shape to the model it starts from, or start from random"
            )


def inputs_for(students: Sequence[StudentConfig], **made: Any) -> dict[str, Any]:
    """The roles that ``student_classifier`` reads.

    Args:
        students: that begin.
        made: stages that make students, by role: ``general``, ``initialisation``, ``pretrained_initialisation``; None
            where a run has none.
    """
    return start_sources(students) | {role: stage for role, stage in made.items() if stage is not None}


def start_role(student: StudentConfig) -> str:
    """The role of the model that a student starts from."""
    return f"start_{student.name}"


def student_seed(student: StudentConfig, seed: int) -> int:
    """A student's own seed: its start does not depend on who else is trained."""
    return crc32(f"{seed}/{student.name}".encode())


def mapped_layers(
    student: StudentConfig, teacher: "PretrainedConfig", own: "PretrainedConfig | None" = None
) -> tuple[int, ...]:
    """The teacher layer that each layer of the student imitates.

    Args:
        student: says how its layers are mapped.
        teacher: the teacher's model configuration.
        own: the student's, where it has one already; None takes the shape that ``student`` gives.

    Raises:
        ModelError: an explicit map does not fit the layers there are.
    """
    layers = own.num_hidden_layers if own is not None else student_shape(student, teacher).layers
    try:
        return layer_map(student.layer_map, layers, teacher.num_hidden_layers)
    except ValueError as error:
        raise ModelError(f"student {student.name!r}: {error}") from error


def taken_layers(student: StudentConfig, teacher: "PretrainedConfig") -> tuple[int, ...]:
    """The 1-based teacher layer that each layer of a student is cut out of.

    Raises:
        ModelError: the teacher has too few layers.
    """
    if student.take is None:
        return mapped_layers(student, teacher)
    layers, there = student_shape(student, teacher).layers, teacher.num_hidden_layers
    if student.take == "every_second":
        if 2 * layers > there:
            raise ModelError(
                f"student {student.name!r} takes every second of {there} teacher layers and has {layers}: "
                f"give it {there // 2}, or take uniform"
            )
        return tuple(range(2, 2 * layers + 1, 2))
    named = {"uniform": "uniform", "first": "bottom", "last": "top"}
    take = named[student.take] if isinstance(student.take, str) else student.take
    try:
        return layer_map(take, layers, there)
    except ValueError as error:
        raise ModelError(f"student {student.name!r}: {error}") from error
