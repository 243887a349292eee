"""Stages ``initialisation`` and ``pretrained_initialisation``: students cut out of their teacher by closed forms."""

from functools import partial
from types import SimpleNamespace
from typing import Any

from pipeline.checks.checks import Check, loads, trains
from pipeline.checks.known import Known
from pipeline.config.base import Config
from pipeline.config.models import StudentConfig
from pipeline.config.run import RunConfig
from pipeline.engine.inputs import pretrained_teacher
from pipeline.engine.student_identity import identities, taken_layers
from pipeline.models.initialise.checks import check_family, check_layers, check_width
from pipeline.models.shapes import student_shape
from pipeline.store.entry import entry
from pipeline.store.source import Source
from pipeline.store.stage import Stage


class InitialisationStage(Config):
    """What students depend on beside the teacher and the text whose tokens the closed forms are fitted to."""

    students: tuple[StudentConfig, ...]
    seed: int


def initialisation(config: RunConfig, teacher: Stage[Any], task_data: Stage[Any]) -> Stage[InitialisationStage]:
    """Students cut out of the fine-tuned teacher on rows of the task, with a head."""
    return _stage("initialisation", config, "teacher", {"teacher": teacher, "task_data": task_data})


def pretrained_initialisation(
    config: RunConfig, pretrain: Stage[Any] | None, corpus: Stage[Any] | None, task_data: Stage[Any] | None
) -> Stage[InitialisationStage]:
    """Students cut out of the pretrained teacher, on the corpus where there is one, else on rows of the task."""
    text = {"corpus": corpus} if corpus is not None else {"task_data": task_data}
    given = {name: stage for name, stage in text.items() if stage is not None}
    return _stage(
        "pretrained_initialisation", config, "pretrained", {"teacher": pretrained_teacher(config, pretrain), **given}
    )


def _stage(
    name: str, config: RunConfig, start: str, inputs: dict[str, Stage[Any] | Source]
) -> Stage[InitialisationStage]:
    students = tuple(student for student in config.students if student.start == start)
    settings = InitialisationStage(students=identities(students), seed=config.seed_of_students)
    return Stage(name, 1, settings, inputs, entry("pipeline.engine.initialisation"))


def checks(config: RunConfig, start: str) -> tuple[Check, ...]:
    """What shows before students are cut: a device, a teacher that can be cut, and students that fit into it."""
    students = [student for student in config.students if student.start == start]
    if not students:
        return ()
    model = loads(config.teacher.model) if start == "pretrained" else ()
    return (*trains(config.runtime), *model, *(partial(_fits, student) for student in students))


def _fits(student: StudentConfig, known: Known) -> None:
    teacher = known.teacher
    if teacher is None:
        return
    if teacher.family:
        check_family(teacher.family)
    if not teacher.num_hidden_layers or not teacher.num_attention_heads:
        return
    shape = student_shape(student, teacher)
    layers, heads = teacher.num_hidden_layers, teacher.num_attention_heads
    fits: Any = SimpleNamespace(num_hidden_layers=layers, num_attention_heads=heads)
    check_width(student.name, shape.hidden, teacher.hidden_size)
    check_layers(student.name, taken_layers(student, fits), shape.layers, layers)
