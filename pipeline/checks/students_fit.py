"""Whether the students of a run can be made of its teacher, asked before anything is computed.

A family whose students take any shape is not tried: its numbers are checked (``checks.students_fit``). Of any other
one, a student is built, saved and opened again, for which torch is loaded.
"""

from collections.abc import Collection
from pathlib import Path

from pipeline.config.builtin import builtin_path
from pipeline.config.models import StudentConfig
from pipeline.config.run import RunConfig
from pipeline.engine.student_identity import NAMED
from pipeline.features import What
from pipeline.models.described import describe

ANY_SHAPE = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
NEEDING_STUDENTS = ("general_distillation", "teacher", "label_only")  # and every phase


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
    if not students or not set(stages) & {*NEEDING_STUDENTS, *(phase.name for phase in config.phases)}:
        return
    if config.teacher.model is None:
        return  # pretrained here: a BERT
    folder = builtin_path(config.teacher.model)
    if not folder.is_dir():
        if ask_hub:
            _try_students(config, students, config.teacher.model)
        return
    if _family(folder) not in (None, *ANY_SHAPE):
        _try_students(config, students, str(folder))


def _family(folder: Path) -> str | None:
    """A model's family; None where its config.json cannot be read, which loading the model tells better."""
    described = describe(str(folder))
    return None if described is None else described.get("model_type")


def _try_students(config: RunConfig, students: list[StudentConfig], location: str) -> None:
    from pipeline.engine.student_trial import try_students  # it loads torch, for the families that need it

    shown = {student: _shown(config, student) for student in students}
    try_students(shown, location, config.teacher.revision)


def _shown(config: RunConfig, student: StudentConfig) -> frozenset[What]:
    """What the terms of any phase of the run ask a student to show."""
    general = config.general_distillation if config.corpus and student.learns_general else None
    terms = [phase.terms for phase in config.phases] if config.task else []
    terms += [general.terms] if general else []
    return frozenset(what for each in terms for what in each.shown)
