"""Stage ``teacher``: a pretrained encoder fine-tuned on the downstream task, the best of several seeds."""

from typing import Any

from pipeline.checks.checks import Check, loads, reads_task, trains
from pipeline.checks.known import Known
from pipeline.config.base import Config
from pipeline.config.precision import Precision
from pipeline.config.run import RunConfig
from pipeline.config.training import TrainingConfig
from pipeline.data.tasks.labels import align_labels
from pipeline.engine.inputs import pretrained_teacher
from pipeline.engine.precision import teacher_precision
from pipeline.engine.refusals import check_one_output, refuse_multi_label
from pipeline.errors import ModelError
from pipeline.models.described import describe
from pipeline.models.unloaded import CLASSIFIERS, DEEP_CLASSIFIERS
from pipeline.store.entry import entry
from pipeline.store.stage import Stage


class TeacherStage(Config):
    """What the teacher depends on beside the task and the pretrained encoder."""

    finetune: TrainingConfig | None
    restarts: int
    relu_logits: bool
    precision: Precision | None  # None where nothing is trained
    seed: int


def teacher(config: RunConfig, task_data: Stage[Any], pretrain: Stage[Any] | None) -> Stage[TeacherStage]:
    """The teacher of a run, fine-tuned unless it already was."""
    settings = TeacherStage(
        finetune=config.teacher.finetune,
        restarts=config.teacher.restarts,
        relu_logits=config.relu_logits,
        precision=teacher_precision(config) if config.teacher.finetune else None,
        seed=config.seed,
    )
    if config.teacher.finetune is None and pretrain is None:
        refuse_multi_label(config.teacher.model or "", describe(config.teacher.model or "") or {})
    inputs = {"task_data": task_data, "pretrained": pretrained_teacher(config, pretrain)}
    work = entry("pipeline.engine.teacher")
    trains_it = settings.finetune is not None
    cost = "pipeline.cost.training" if trains_it else "pipeline.cost.inference"
    return Stage("teacher", 5, settings, inputs, work, parallel=trains_it, cost=cost)


def checks(config: RunConfig) -> tuple[Check, ...]:
    """What shows before the teacher learns: a device, an encoder, and of one that learns nothing its labels."""
    tuned = () if config.teacher.finetune else (_check_tuned,)
    released = (_check_released,) if config.relu_logits else ()
    return (*trains(config.runtime), *loads(config.teacher.model), reads_task, *tuned, *released)


def _check_tuned(known: Known) -> None:
    """Check that a teacher which is not fine-tuned here already knows the task."""
    model, pretrain = known.teacher, known.config.pretrain
    if pretrain is not None and pretrain.mode != "mlm_head":
        raise ModelError(
            "the teacher comes from pretraining and is not fine-tuned: set teacher.finetune to train it on the task"
        )
    if model is None:
        return
    if model.family in CLASSIFIERS and not model.has_weights("classifier."):
        raise ModelError(
            f"{model.location} is not fine-tuned (its classification head is not there): "
            "set teacher.finetune to train it on the task"
        )
    if known.task is None:
        return
    if known.task.kind == "regression":
        check_one_output(len(model.labels))
    else:
        align_labels(model.labels, known.task.label_names)


def _check_released(known: Known) -> None:
    model = known.teacher
    if model is not None and model.family in DEEP_CLASSIFIERS:
        raise ModelError(f"relu_logits needs a BERT classifier, a {model.family!r} model has none: set it to false")
