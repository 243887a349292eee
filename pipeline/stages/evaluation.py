"""Stage ``evaluation``: teacher, students and label-only students side by side on the task's dev rows."""

from typing import Any

from pipeline.checks.checks import Check, trains
from pipeline.config.base import Config
from pipeline.config.models import StudentConfig
from pipeline.config.run import RunConfig
from pipeline.engine.student_identity import identities
from pipeline.errors import ConfigError
from pipeline.stages.label_only import same_size
from pipeline.store.entry import entry
from pipeline.store.stage import Stage

RESERVED = ("teacher", "label-only")


class Compared(Config):
    """What says which models are compared, by whatever stage.

    Attributes:
        same_size: student -> the student whose label-only twin it is compared with.
    """

    students: tuple[StudentConfig, ...]
    same_size: dict[str, str]


class EvaluationStage(Compared):
    """What the figures depend on beside the models and the task."""

    bootstrap: int
    tfidf: bool
    seed: int


def evaluation(
    config: RunConfig,
    task_data: Stage[Any],
    teacher: Stage[Any],
    students: Stage[Any],
    label_only: Stage[Any] | None,
) -> Stage[EvaluationStage]:
    """The comparison at the end of a run.

    Raises:
        ConfigError: a student is named like one of those it is compared with.
    """
    _refuse_reserved(config)
    settings = EvaluationStage(
        bootstrap=config.evaluation.bootstrap,
        tfidf=config.evaluation.tfidf,
        students=identities(config.students),
        same_size=same_size(config),
        seed=config.seed,
    )
    inputs = {"task_data": task_data, "teacher": teacher, "students": students}
    if label_only is not None:
        inputs["label_only"] = label_only
    return Stage("evaluation", 3, settings, inputs, entry("pipeline.engine.evaluation"), cost="pipeline.cost.inference")


def checks(config: RunConfig) -> tuple[Check, ...]:
    """What shows before the models are compared: a device, and names that tell them apart."""
    return (*trains(config.runtime), lambda known: _refuse_reserved(known.config))


def _refuse_reserved(config: RunConfig) -> None:
    for student in config.students:
        if student.name in RESERVED:
            raise ConfigError(f"a student is named {student.name!r}, as another row of the results: rename it")
