"""What tells one student of a run from another: its seed, and the teacher layers it imitates."""

from zlib import crc32

from transformers import PretrainedConfig

from pipeline.config.models import StudentConfig
from pipeline.distillation.layer_map import layer_map
from pipeline.errors import ModelError
from pipeline.models.shapes import student_shape


def student_seed(student: StudentConfig, seed: int) -> int:
    """A student's own seed: its start does not depend on who else is trained."""
    return crc32(f"{seed}/{student.name}".encode())


def mapped_layers(
    student: StudentConfig, teacher: PretrainedConfig, own: PretrainedConfig | None = None
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
