"""Stage ``label_only``: same-size students that see the labels and never the teacher; the yardstick."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from pipeline.config.base import Config
from pipeline.config.models import PRESETS, StudentConfig
from pipeline.config.precision import Precision
from pipeline.config.run import RunConfig
from pipeline.config.training import TrainingConfig
from pipeline.engine.compatibility import check_positions
from pipeline.engine.inputs import model_input
from pipeline.engine.precision import student_precision
from pipeline.engine.run_training import fit
from pipeline.engine.student_models import (
    NAMED,
    folder,
    identities,
    output_names,
    start_sources,
    student_config,
)
from pipeline.errors import ConfigError
from pipeline.features import Outcome
from pipeline.models.described import NAMES, describe, shape_of, sizes_of
from pipeline.stages.checks import Check, loads, reads_task, students_fit, trains
from pipeline.stages.teacher_input import pretrained_teacher
from pipeline.store.stage import Stage, StageRun

if TYPE_CHECKING:
    from transformers import PreTrainedModel


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
        seed=config.seed,
    )
    inputs = {
        "task_data": task_data,
        "teacher": pretrained_teacher(config, pretrain),
        **start_sources(students),
    }
    return Stage("label_only", 4, settings, inputs, _run, parallel=True)


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
            update={"layer_map": "uniform", "start": "random" if student.start in NAMED else student.start}
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


def yardsticks(same: Mapping[str, str]) -> dict[str, str]:
    """Student -> what the results call the label-only student of its size.

    Args:
        same: from ``same_size``.
    """
    firsts = list(dict.fromkeys(same.values()))
    names = {name: f"label-only like {name}" if number else "label-only" for number, name in enumerate(firsts)}
    return {student: names[first] for student, first in same.items()}


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


def _run(config: LabelOnlyStage, run: StageRun) -> None:
    import torch

    from pipeline.data.tasks.table import load_task
    from pipeline.data.tokens.tokenizer import load_tokenizer
    from pipeline.engine.inference import dev_score, predict_logits
    from pipeline.engine.learner import Learner
    from pipeline.engine.objectives import hard
    from pipeline.engine.rows import plan, reader, write_rows
    from pipeline.engine.student_identity import student_seed
    from pipeline.models.load import load_config, save_model
    from pipeline.models.students import random_classifier
    from pipeline.stages.teacher import labels_of
    from pipeline.training.loop import Training

    task = load_task(run.artifact("task_data"))
    regression = task.kind == "regression"
    source = model_input(run, "teacher")
    teacher, tokenizer = load_config(source), load_tokenizer(source.location, source.revision)
    pad_id = tokenizer.pad_token_id
    train, dev = (
        write_rows(
            run.scratch / split,
            [task.splits[split]],
            tokenizer,
            max_length=task.max_length,
            progress=run.progress,
        )
        for split in ("train", "dev")
    )
    models = {}
    for student in config.students:
        shape = student_config(student, teacher, run)
        torch.manual_seed(student_seed(student, config.seed))
        models[student.name] = random_classifier(shape, output_names(task), regression=regression)
        check_positions(models[student.name], task.max_length, "task.max_length")
    outcome: Outcome = "value" if regression else "classes"
    batches = plan(train.lengths, config.training, seed=config.seed, max_length=task.max_length)
    histories = fit(
        Training(
            {name: Learner(model, hard(outcome)) for name, model in models.items()},
            batches,
            reader(
                train,
                pad_id=pad_id,
                pad_to=batches.pad_to,
                columns=labels_of(train, task),
            ),
            score=lambda trained: dev_score(
                task, predict_logits(cast("PreTrainedModel", trained.model), dev, pad_id=pad_id)
            ),
        ),
        config.training,
        run,
        seed=config.seed,
        precision=config.precision,
    )
    for student in config.students:
        save_model(models[student.name], tokenizer, folder(run.output, student), max_length=task.max_length)
    run.record(dev_score={name: history.best for name, history in histories.items()})
