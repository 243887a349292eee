"""Stage ``label_only``: same-size students that see the labels and never the teacher; the yardstick."""

from typing import TYPE_CHECKING, Any, cast

from pipeline.config.base import Config
from pipeline.config.models import StudentConfig
from pipeline.config.precision import Precision
from pipeline.config.run import RunConfig
from pipeline.config.training import TrainingConfig
from pipeline.errors import ConfigError
from pipeline.features import Outcome
from pipeline.stages.compatibility import check_positions
from pipeline.stages.engine import fit
from pipeline.stages.inputs import model_input
from pipeline.stages.precision import resolve
from pipeline.stages.student_models import (
    NAMED,
    folder,
    identities,
    output_names,
    start_sources,
    student_config,
    student_seed,
)
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
    students = distinct_shapes(config.students)
    settings = LabelOnlyStage(
        training=training, students=_without_teaching(students), precision=resolve(config), seed=config.seed
    )
    inputs = {
        "task_data": task_data,
        "teacher": pretrained_teacher(config, pretrain),
        **start_sources(students),
    }
    return Stage("label_only", 3, settings, inputs, _run, parallel=True)


def _without_teaching(students: tuple[StudentConfig, ...]) -> tuple[StudentConfig, ...]:
    """The students without what only distillation reads: the layer map, and whether a distilled model is the start."""
    return tuple(
        student.model_copy(
            update={"layer_map": "uniform", "start": "random" if student.start in NAMED else student.start}
        )
        for student in identities(students)
    )


def distinct_shapes(students: tuple[StudentConfig, ...]) -> tuple[StudentConfig, ...]:
    """The first student of each shape."""
    first: dict[tuple[Any, ...], StudentConfig] = {}
    for student in students:
        first.setdefault(shape_key(student), student)
    return tuple(first.values())


def yardsticks(students: tuple[StudentConfig, ...]) -> dict[tuple[Any, ...], str]:
    """Shape -> what the results call its label-only student."""
    first, *others = distinct_shapes(students)
    return {shape_key(first): "label-only"} | {shape_key(other): f"label-only like {other.name}" for other in others}


def shape_key(student: StudentConfig) -> tuple[Any, ...]:
    """What makes two students the same size."""
    # One whose shape only the model it starts from knows is compared with itself alone.
    unknown = student.name if student.layers is None and student.preset is None else ""
    return (student.preset, student.layers, student.hidden, student.heads, student.intermediate, unknown)


def _run(config: LabelOnlyStage, run: StageRun) -> None:
    import torch

    from pipeline.data.task_table import load_task
    from pipeline.data.tokenizer import load_tokenizer
    from pipeline.engine.learner import Learner
    from pipeline.engine.objectives import hard
    from pipeline.models.load import load_config, save_model
    from pipeline.models.students import random_classifier
    from pipeline.stages.inference import dev_score, predict_logits
    from pipeline.stages.rows import plan, reader, write_rows
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
        save_model(models[student.name], tokenizer, folder(run.output, student))
    run.record(dev_score={name: history.best for name, history in histories.items()})
