"""Stage ``general_distillation``: the pretrained teacher imitated on the corpus; no prediction loss."""

from typing import Any

from pipeline.checks.checks import Check, loads, reads_corpus, shares_vocabulary, students_fit, trains
from pipeline.config.base import Config
from pipeline.config.distillation import GeneralDistillationConfig
from pipeline.config.models import StudentConfig
from pipeline.config.precision import Precision
from pipeline.config.run import RunConfig
from pipeline.engine.inputs import pretrained_teacher
from pipeline.engine.precision import student_precision, teacher_precision
from pipeline.engine.student_identity import identities
from pipeline.errors import ConfigError
from pipeline.store.entry import entry
from pipeline.store.stage import Stage


class GeneralDistillationStage(Config):
    """What general distillation depends on beside its corpus and teacher."""

    distillation: GeneralDistillationConfig
    students: tuple[StudentConfig, ...]
    precision: Precision
    teacher_precision: Precision
    seed: int


def general_distillation(
    config: RunConfig, corpus: Stage[Any], pretrain: Stage[Any] | None, initialisation: Stage[Any] | None = None
) -> Stage[GeneralDistillationStage]:
    """General students of a run, from one teacher pass: at random, or cut out of the pretrained teacher.

    Args:
        config: of the run.
        corpus: what is read.
        pretrain: what makes the teacher, where a run does.
        initialisation: what cut students out of the pretrained teacher, where a run does.
    """
    if config.general_distillation is None:
        raise ConfigError("there is no general distillation in this configuration: add a general_distillation section")
    students = tuple(student for student in config.students if student.learns_general)
    settings = GeneralDistillationStage(
        distillation=config.general_distillation,
        students=identities(students),
        precision=student_precision(config, students),
        teacher_precision=teacher_precision(config),
        seed=config.seed_of_students,
    )
    inputs: dict[str, Any] = {"corpus": corpus, "teacher": pretrained_teacher(config, pretrain)}
    if initialisation is not None:
        inputs["pretrained_initialisation"] = initialisation
    work = entry("pipeline.engine.general_distillation")
    return Stage("general_distillation", 5, settings, inputs, work, parallel=True, cost="pipeline.cost.training")


def checks(config: RunConfig) -> tuple[Check, ...]:
    """What shows before general distillation: a device, a teacher of the corpus, and students that fit it."""
    if config.general_distillation is None:
        return ()
    students = [student for student in config.students if student.learns_general]
    return (
        *trains(config.runtime),
        *loads(config.teacher.model),
        shares_vocabulary,
        reads_corpus,
        *students_fit(students, config.general_distillation.terms),
    )
