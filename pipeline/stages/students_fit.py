"""Whether the students of a run can be made of its teacher, asked before anything is computed.

A family whose students take any shape is checked by the numbers in its config.json; of any other one, a student is
built, saved and opened again, for which torch is loaded.
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pipeline.config.builtin import builtin_path
from pipeline.config.models import PRESETS, StudentConfig
from pipeline.config.run import RunConfig
from pipeline.errors import ModelError
from pipeline.stages.student_models import NAMED

ANY_SHAPE = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
NEEDING_STUDENTS = ("general_distillation", "teacher", "intermediate", "prediction", "label_only")


def check_students(config: RunConfig, stages: Collection[str], *, ask_hub: bool = False) -> None:
    """Refuse students that could not be built, read, saved or opened again.

    Args:
        config: the run.
        stages: names of those that are still to be built.
        ask_hub: look up a teacher that is not on this machine; without it such a teacher is left to its stages.

    Raises:
        ModelError: names the student, the family and what does not fit.
    """
    students = [student for student in config.students if student.start in NAMED]
    if not students or not set(stages) & set(NEEDING_STUDENTS):
        return
    if config.teacher.model is None:
        built = config.pretrain and config.pretrain.architecture
        _compare_numbers(config, students, built.heads if built else None, built.layers if built else None)
        return
    folder = builtin_path(config.teacher.model)
    if not folder.is_dir():
        if ask_hub:
            _try_students(config, students, config.teacher.model)
        return
    told = _told(folder)
    if told.get("model_type") in ANY_SHAPE:
        _compare_numbers(config, students, told.get("num_attention_heads"), told.get("num_hidden_layers"))
    elif "model_type" in told:
        _try_students(config, students, str(folder))


def _told(folder: Path) -> dict[str, Any]:
    """A model's config.json; nothing where it cannot be read, which loading the model tells better."""
    try:
        found = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _compare_numbers(
    config: RunConfig, students: list[StudentConfig], teacher_heads: object, teacher_layers: object
) -> None:
    from pipeline.distillation.layer_map import layer_map

    if not isinstance(teacher_heads, int) or not isinstance(teacher_layers, int):
        return
    for student in students:
        shape = PRESETS[student.preset] if student.preset else student
        heads = shape.heads or teacher_heads
        if _attention(config, student) and heads != teacher_heads:
            raise ModelError(
                f"teacher has {teacher_heads} attention heads, student {student.name!r} {heads}: give it "
                f"{teacher_heads} heads (hidden a multiple of {teacher_heads}), or set terms.attention to 0"
            )
        try:
            layer_map(student.layer_map, shape.layers or 0, teacher_layers)
        except ValueError as error:
            raise ModelError(f"student {student.name!r}: {error}") from error


def _try_students(config: RunConfig, students: list[StudentConfig], location: str) -> None:
    from pipeline.models.load import ModelSource, load_config
    from pipeline.models.students import check_heads, student_config, student_shape
    from pipeline.models.trial import try_student
    from pipeline.stages.student_models import mapped_layers

    try:
        teacher = load_config(ModelSource(location, config.teacher.revision))
    except ModelError:
        return  # the stage that loads the model says so, and asks again where only the connection was lost
    for student in students:
        shape, attention = student_shape(student, teacher), _attention(config, student)
        if attention:
            check_heads(student.name, shape.heads, teacher)
        built = student_config(shape, teacher, dropout=student.dropout, layers=mapped_layers(student, teacher))
        try_student(built, student.name, attention=attention)


def _attention(config: RunConfig, student: StudentConfig) -> bool:
    """Whether any phase of the run has a student imitate attention scores."""
    general = config.general_distillation if config.corpus and student.start == "general" else None
    phases = (general, config.intermediate if config.task else None)
    return any(phase is not None and phase.terms.attention > 0 for phase in phases)
