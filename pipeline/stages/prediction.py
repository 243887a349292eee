"""Stage ``prediction``: phase two of task distillation; the teacher's stored logits are imitated."""

from typing import TYPE_CHECKING, Any, cast

from pipeline.config.augmentation import Labels
from pipeline.config.base import Config
from pipeline.config.distillation import PredictionConfig
from pipeline.config.models import StudentConfig
from pipeline.config.precision import Precision
from pipeline.config.run import RunConfig
from pipeline.engine.precision import student_precision
from pipeline.engine.run_training import fit
from pipeline.engine.student_models import folder, identities, inputs_for, student_classifier
from pipeline.features import Outcome
from pipeline.stages.checks import Check, students_fit, trains
from pipeline.store.stage import Stage, StageRun

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel


class PredictionStage(Config):
    """What the prediction phase depends on beside its rows, logits and students."""

    prediction: PredictionConfig
    students: tuple[StudentConfig, ...]
    labels: Labels
    relu_logits: bool
    precision: Precision
    seed: int


def prediction(
    config: RunConfig,
    teacher_logits: Stage[Any],
    task_data: Stage[Any],
    intermediate: Stage[Any] | None,
    general: Stage[Any] | None,
) -> Stage[PredictionStage]:
    """The final students; each ends with its best weights by the task's dev metric."""
    settings = PredictionStage(
        prediction=config.prediction,
        students=identities(config.students),
        labels=labels_of_variants(config),
        relu_logits=config.relu_logits,
        precision=student_precision(config),
        seed=config.seed,
    )
    inputs: dict[str, Any] = {"logits": teacher_logits, "task_data": task_data}
    if intermediate is not None:
        inputs["intermediate"] = intermediate
    else:
        # Without phase one nothing else brings the teacher's shape and vocabulary.
        inputs |= {"teacher": teacher_logits.inputs["teacher"], **inputs_for(config.students, general)}
    return Stage("prediction", 4, settings, inputs, _run, parallel=True)


def checks(config: RunConfig) -> tuple[Check, ...]:
    """What shows before phase two: a device, and students of a shape where phase one did not make them."""
    return (*trains(config.runtime), *(() if config.intermediate else students_fit(config.students, None)))


def labels_of_variants(config: RunConfig) -> Labels:
    """Whose label a variant carries, as far as this phase can tell: what it never sees changes nothing."""
    phase = config.prediction
    if config.augmentation is None or not phase.augmented:
        return "teacher"
    wanted = config.augmentation.labels
    # Of gold labels only an origin's can be a variant's; no other policy has variants fitted to them.
    return "teacher" if phase.targets == "labels" and wanted == "agree" else wanted


def _run(config: PredictionStage, run: StageRun) -> None:
    from pipeline.data.tasks.table import load_task
    from pipeline.data.tokens.tokenizer import load_tokenizer
    from pipeline.engine.guides.outputs import LOGITS, stored_outputs
    from pipeline.engine.inference import dev_score, predict_logits
    from pipeline.engine.learner import Learner
    from pipeline.engine.objectives import TEACHER, hard, soft
    from pipeline.engine.rows import plan, reader, write_rows
    from pipeline.engine.transfer_set import TransferSet
    from pipeline.models.load import ModelSource, load_config, load_finetuned, save_model
    from pipeline.models.released import relu_before_classifier
    from pipeline.training.loop import Training

    phase, training = config.prediction, config.prediction.training
    task = load_task(run.artifact("task_data"))
    outcome: Outcome = "value" if task.kind == "regression" else "classes"
    if run.has("intermediate"):
        folders = {student.name: folder(run.artifact("intermediate"), student) for student in config.students}
        models = {name: load_finetuned(ModelSource(str(path))) for name, path in folders.items()}
        tokenizer = load_tokenizer(str(next(iter(folders.values()))))
    else:
        location = str(run.artifact("teacher") / "model")
        shape, tokenizer = load_config(ModelSource(location)), load_tokenizer(location)
        models = {
            student.name: student_classifier(student, shape, tokenizer, task, run, config.seed)
            for student in config.students
        }
    transfer = TransferSet.open(run.artifact("logits"), task)
    gold = phase.targets == "labels"
    table, labels = transfer.table, transfer.table.column("label")
    rows = transfer.learned_from(config.labels, augmented=phase.augmented, gold=gold)
    speakers = transfer.speakers(config.labels)
    pad_id = tokenizer.pad_token_id
    dev = write_rows(
        run.scratch / "dev",
        [task.splits["dev"]],
        tokenizer,
        max_length=task.max_length,
        progress=run.progress,
    )

    def columns(chosen: "NDArray[Any]") -> dict[str, Any]:
        if gold:
            return {"labels": labels[transfer.origins[chosen]].astype("float32" if outcome == "value" else "int64")}
        return {LOGITS: transfer.logits[speakers[chosen]]}

    def learner(model: Any) -> Any:
        if config.relu_logits:
            relu_before_classifier(model)
        if gold:
            return Learner(model, hard(outcome))
        return Learner(
            model,
            soft(outcome, temperature=phase.temperature, mean_over_classes=phase.reduction == "elements"),
        )

    batches = plan(table.lengths[rows], training, seed=config.seed, max_length=task.max_length)
    read = reader(
        table,
        pad_id=pad_id,
        pad_to=batches.pad_to,
        columns=columns,
    )
    histories = fit(
        Training(
            {name: learner(model) for name, model in models.items()},
            batches,
            lambda places, step: read(rows[places], step),
            None if gold else (lambda batch, _rows: {TEACHER: stored_outputs(batch)}),
            score=lambda trained: dev_score(
                task, predict_logits(cast("PreTrainedModel", trained.model), dev, pad_id=pad_id)
            ),
            evaluations_per_epoch=phase.evaluations_per_epoch,
        ),
        training,
        run,
        seed=config.seed,
        precision=config.precision,
    )
    for student in config.students:
        save_model(models[student.name], tokenizer, folder(run.output, student), max_length=task.max_length)
    run.record(dev_score={name: history.best for name, history in histories.items()}, rows=len(rows))
