"""Students of a family that does not take any shape, built, saved and opened again before anything is computed."""

from collections.abc import Collection, Mapping

from pipeline.config.models import StudentConfig
from pipeline.engine.student_identity import dropout, mapped_layers
from pipeline.errors import ModelError
from pipeline.features import What
from pipeline.models.load import load_config
from pipeline.models.shapes import check_heads, student_shape
from pipeline.models.source import ModelSource
from pipeline.models.students import student_config
from pipeline.models.trial import try_student


def try_students(shown: Mapping[StudentConfig, Collection[What]], location: str, revision: str) -> None:
    """Refuse students that cannot be made of their teacher.

    Args:
        shown: student that does not start from a model of its own -> what its terms ask it to show.
        location: of the teacher: a folder or hub id.
        revision: on the hub.

    Raises:
        ModelError: names the student, the family and what does not fit.
    """
    try:
        teacher = load_config(ModelSource(location, revision))
    except ModelError:
        return  # the stage that loads the model says so, and asks again where only the connection was lost
    for student, wanted in shown.items():
        shape = student_shape(student, teacher)
        if "query" in wanted:
            check_heads(student.name, shape.heads, teacher)
        built = student_config(shape, teacher, dropout=dropout(student), layers=mapped_layers(student, teacher))
        try_student(built, student.name, wanted)
