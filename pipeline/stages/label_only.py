"""Stage ``label_only``: same-size students that see the labels and never the teacher; the yardstick."""

from collections.abc import Mapping
from typing import Any

from pipeline.checks.checks import Check, loads, reads_task, students_fit, trains
from pipeline.config.base import Config
from pipeline.config.models import PRESETS, StudentConfig
from pipeline.config.precision import Precision
from pipeline.config.run import RunConfig
from pipeline.config.training import TrainingConfig
from pipeline.engine.inputs import pretrained_teacher
from pipeline.engine.precision import student_precision
from pipeline.engine.student_identity import (
    NAMED,
    identities,
    start_sources,
)
from pipeline.errors import ConfigError
from pipeline.models.described import NAMES, describe, shape_of, sizes_of
from pipeline.store.entry import entry
from pipeline.store.stage import Stage


class LabelOnlyStage(Config):
    """What label-only training depends on beside the task and the teacher's vocabulary."""

    training: TrainingConfig
    students: tuple[StudentConfig, ...]
    precision: Precision
    seed: int


def label_only(config: RunConfig, task_data: Stage[Any], pretrain: Stage[Any] | None) -> Stage[LabelOnlyStage]:
    """One label-only student for each different shape among the students."""
    training = config.evaluation.label_only
    if training is None:
        raise ConfigError("there is no label-only student in this configuration: set evaluation.label_only")
    students = _first_of_each_size(config)
    settings = LabelOnlyStage(
        training=training,
        students=_without_teaching(students),
        precision=student_precision(config, students),
        seed=config.seed_of_students,
    )
    inputs = {
        "task_data": task_data,
        "teacher": pretrained_teacher(config, pretrain),
        **start_sources(students),
    }
    return Stage(
        "label_only",
        4,
        settings,
        inputs,
        entry("pipeline.engine.label_only"),
        parallel=True,
        cost="pipeline.cost.training",
    )


def checks(config: RunConfig) -> tuple[Check, ...]:
    """What shows before label-only training: a device, the teacher's tokenizer, and a shape for each student."""
    return (
        *trains(config.runtime),
        *loads(config.teacher.model),
        reads_task,
        *students_fit(_first_of_each_size(config), None),
    )


def _first_of_each_size(config: RunConfig) -> tuple[StudentConfig, ...]:
    firsts = set(same_size(config).values())
    return tuple(student for student in config.students if student.name in firsts)


def _without_teaching(students: tuple[StudentConfig, ...]) -> tuple[StudentConfig, ...]:
    """The students without what only distillation reads: the layer map, and whether a distilled model is the start."""
    return tuple(
        student.model_copy(
            update={
                "layer_map": "uniform",
                "take": None,
                "start": "random" if student.start in NAMED else student.start,
            }
        )
        for student in identities(students)
    )


def same_size(config: RunConfig) -> dict[str, str]:
    """Student -> the first student of its size, whose label-only student is trained; empty without any.

    A size is the real shape: that of a preset, of the folder a student starts from, or as it is written. What cannot
    be known before the run, the shape of a model on a hub, is compared with itself alone.
    """
    if config.evaluation.label_only is None:
        return {}
    first: dict[tuple[Any, ...], str] = {}
    teacher = _described_teacher(config)
    return {student.name: first.setdefault(real_size(student, teacher), student.name) for student in config.students}


def real_size(student: StudentConfig, teacher: Mapping[str, Any] | None) -> tuple[Any, ...]:
    """What makes two students the same size.

    Args:
        student: as it is written.
        teacher: its configuration, whose family, vocabulary and heads a student takes; None where it is unknown.
    """
    if student.start not in NAMED:
        described = describe(student.start)
        if described is None:
            return (student.start,)
        shape = shape_of(described)
        return (*(shape.get(name) for name in NAMES), sizes_of(described))
    if student.preset:
        shape = dict(PRESETS[student.preset])
    else:
        width = student.hidden or 0
        heads = student.heads or shape_of(teacher or {}).get("heads") or 0
        shape = {
            "layers": student.layers or 0,
            "hidden": width,
            "heads": heads,
            "intermediate": student.intermediate or 4 * width,
        }
    family = dict(teacher or {})
    if "embedding_size" in family:  # no wider than the student, as where it is built
        family["embedding_size"] = min(family["embedding_size"], shape["hidden"])
    return (*(shape[name] for name in NAMES), sizes_of(family))


def _described_teacher(config: RunConfig) -> Mapping[str, Any] | None:
    if config.pretrain is not None and config.pretrain.architecture is not None:
        return {"num_attention_heads": config.pretrain.architecture.heads}
    return describe(config.teacher.model or "")
