"""Stage ``teacher``: a pretrained encoder fine-tuned on the downstream task, the best of several seeds."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline.config.base import Config
from pipeline.config.precision import Precision
from pipeline.config.run import RunConfig
from pipeline.config.training import TrainingConfig
from pipeline.engine.compatibility import check_positions
from pipeline.engine.inputs import model_input
from pipeline.engine.precision import teacher_precision
from pipeline.engine.run_training import fit, placed
from pipeline.engine.student_models import output_names
from pipeline.errors import ModelError, TrainingError
from pipeline.models.described import MULTI_LABEL, describe
from pipeline.models.unloaded import CLASSIFIERS, DEEP_CLASSIFIERS
from pipeline.stages.checks import Check, loads, reads_task, trains
from pipeline.stages.known import Known
from pipeline.stages.teacher_input import pretrained_teacher
from pipeline.store.stage import Stage, StageRun

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from pipeline.data.tasks.table import TaskData
    from pipeline.data.tokens.table import TokenTable

SCORE_TOLERANCE = 1e-6


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
    return Stage("teacher", 4, settings, inputs, _run, parallel=settings.finetune is not None)


def refuse_multi_label(location: str, described: Mapping[str, Any]) -> None:
    """Refuse a teacher that says yes or no to each label by itself: its logits are no distribution over classes.

    Raises:
        ModelError: it says so of itself.
    """
    if described.get("problem_type") == MULTI_LABEL:
        raise ModelError(
            f"the teacher {location} is for several labels a row (problem_type {MULTI_LABEL} in its config.json), the "
            "task has one: name a teacher with one label a row, or set teacher.finetune to train it on the task"
        )


def checks(config: RunConfig) -> tuple[Check, ...]:
    """What shows before the teacher learns: a device, an encoder, and of one that learns nothing its labels."""
    tuned = () if config.teacher.finetune else (_check_tuned,)
    released = (_check_released,) if config.relu_logits else ()
    return (*trains(config.runtime), *loads(config.teacher.model), reads_task, *tuned, *released)


def _check_tuned(known: Known) -> None:
    """Check that a teacher which is not fine-tuned here already knows the task."""
    from pipeline.data.tasks.labels import align_labels

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
        _check_one_output(len(model.labels))
    else:
        align_labels(model.labels, known.task.label_names)


def _check_released(known: Known) -> None:
    model = known.teacher
    if model is not None and model.family in DEEP_CLASSIFIERS:
        raise ModelError(f"relu_logits needs a BERT classifier, a {model.family!r} model has none: set it to false")


def _check_one_output(num_labels: int | None) -> None:
    if num_labels != 1:
        raise ModelError(
            f"the teacher has {num_labels} outputs, a regression needs one: name a teacher that was "
            "fine-tuned on a score, or set teacher.finetune to train it on the task"
        )


def _run(config: TeacherStage, run: StageRun) -> None:
    from pipeline.data.tasks.table import load_task
    from pipeline.data.tokens.tokenizer import check_vocabulary, load_tokenizer
    from pipeline.engine.inference import dev_score, predict_logits
    from pipeline.engine.rows import write_rows
    from pipeline.models.load import ModelSource, load_config, load_finetuned, save_model
    from pipeline.training.team import team

    task = load_task(run.artifact("task_data"))
    source = model_input(run, "pretrained")
    tokenizer = load_tokenizer(source.location, source.revision)
    check_vocabulary(tokenizer, load_config(source).vocab_size)
    dev = write_rows(
        run.scratch / "dev",
        [task.splits["dev"]],
        tokenizer,
        max_length=task.max_length,
        progress=run.progress,
    )

    def score(model: "PreTrainedModel") -> float:
        return dev_score(task, predict_logits(model, dev, pad_id=tokenizer.pad_token_id))

    if config.finetune is None:
        model = placed(_already_finetuned(source, task), run.runtime)
        check_positions(model, task.max_length, "task.max_length")
        if config.relu_logits:
            _relu_logits(model)
        best = score(model)
    else:
        model, best = _finetune(config, config.finetune, run, source, tokenizer, task, score)
    save_model(model, tokenizer, run.output / "model", max_length=task.max_length)
    if team().follows:  # of several processes Transformers lets the first alone write a model
        return
    reloaded = placed(load_finetuned(ModelSource(str(run.output / "model"))), run.runtime)
    if config.relu_logits:
        _relu_logits(reloaded)
    again = score(reloaded)
    if abs(again - best) > SCORE_TOLERANCE:
        raise TrainingError(
            f"the saved teacher scores {again:.6f} on the dev set, in training it scored {best:.6f}: its folder "
            "does not reproduce it"
        )
    run.record(dev_score=best, parameters=sum(p.numel() for p in model.parameters()))


def _finetune(
    config: TeacherStage,
    training: TrainingConfig,
    run: StageRun,
    source: Any,
    tokenizer: Any,
    task: "TaskData",
    score: Any,
) -> "tuple[PreTrainedModel, float]":
    import torch

    from pipeline.engine.learner import Learner
    from pipeline.engine.objectives import hard
    from pipeline.engine.rows import plan, reader, write_rows
    from pipeline.models.load import load_classifier
    from pipeline.training.loop import Training

    train = write_rows(
        run.scratch / "train",
        [task.splits["train"]],
        tokenizer,
        max_length=task.max_length,
        progress=run.progress,
    )
    regression = task.kind == "regression"
    best: tuple[PreTrainedModel, float] | None = None
    scores = []
    for restart in range(config.restarts):
        seed = config.seed + restart
        torch.manual_seed(seed)
        model = load_classifier(source, output_names(task), regression=regression)
        check_positions(model, task.max_length, "task.max_length")
        if config.relu_logits:
            _relu_logits(model)
        batches = plan(train.lengths, training, seed=seed, max_length=task.max_length)
        read = reader(
            train,
            pad_id=tokenizer.pad_token_id,
            pad_to=batches.pad_to,
            columns=labels_of(train, task),
        )
        learner = Learner(model, hard("value" if regression else "classes"))
        histories = fit(
            Training({"teacher": learner}, batches, read, score=lambda learner: score(learner.model)),
            training,
            run,
            seed=seed,
            precision=config.precision or "float32",
            name=f"restart_{restart}",
            keep_end=restart + 1 < config.restarts,
        )
        reached = histories["teacher"].best
        assert reached is not None  # noqa: S101 - a training with a score has been scored at its end
        scores.append(reached)
        if best is None or reached > best[1]:
            best = (model, reached)
    assert best is not None  # noqa: S101 - there is at least one restart
    run.record(restart_scores=scores)
    return best


def labels_of(table: "TokenTable", task: "TaskData") -> Any:
    """The label column of a token table, as a function from row indices to arrays of a batch."""
    import numpy as np

    labels = table.column("label")
    labels = labels.astype(np.float32 if task.kind == "regression" else np.int64)
    return lambda rows: {"labels": labels[rows]}


def _already_finetuned(source: Any, task: "TaskData") -> "PreTrainedModel":
    from pipeline.data.tasks.labels import align_labels
    from pipeline.models.load import load_finetuned, permute_labels

    model = load_finetuned(source)
    refuse_multi_label(source.location, model.config.to_dict())
    if task.kind == "regression":
        _check_one_output(model.config.num_labels)
    else:
        permute_labels(
            model,
            align_labels({int(k): v for k, v in (model.config.id2label or {}).items()}, task.label_names),
            task.label_names,
        )
    return model


def _relu_logits(model: "PreTrainedModel") -> None:
    from pipeline.models.released import relu_before_classifier

    relu_before_classifier(model)
