"""Stage ``prediction``: phase two of task distillation; the teacher's stored logits are imitated."""

from typing import TYPE_CHECKING, Any, cast

from pipeline.config.base import Config
from pipeline.config.distillation import PredictionConfig
from pipeline.config.models import StudentConfig
from pipeline.config.precision import Precision
from pipeline.config.run import RunConfig
from pipeline.stages.engine import fit, round_to
from pipeline.stages.precision import resolve
from pipeline.stages.student_models import folder, identities, inputs_for, student_classifier
from pipeline.store.stage import Stage, StageRun

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from pipeline.data.table import TokenTable


class PredictionStage(Config):
    """What the prediction phase depends on beside its rows, logits and students."""

    prediction: PredictionConfig
    students: tuple[StudentConfig, ...]
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
        relu_logits=config.relu_logits,
        precision=resolve(config),
        seed=config.seed,
    )
    inputs: dict[str, Any] = {"logits": teacher_logits, "task_data": task_data}
    if intermediate is not None:
        inputs["intermediate"] = intermediate
    else:
        # Without phase one nothing else brings the teacher's shape and vocabulary.
        inputs |= {"teacher": teacher_logits.inputs["teacher"], **inputs_for(config.students, general)}
    return Stage("prediction", 2, settings, inputs, _run, parallel=True)


def _run(config: PredictionStage, run: StageRun) -> None:
    from pipeline.data.logits import read_logits
    from pipeline.data.table import TokenTable
    from pipeline.data.task_table import load_task
    from pipeline.data.tokenizer import load_tokenizer
    from pipeline.models.load import ModelSource, load_config, load_finetuned, save_model
    from pipeline.models.released import relu_before_classifier
    from pipeline.stages.inference import dev_score, predict_logits
    from pipeline.stages.learners import Classifier, Predictor
    from pipeline.stages.rows import plan, reader, write_rows
    from pipeline.training.loop import Training

    phase, training = config.prediction, config.prediction.training
    task = load_task(run.artifact("task_data"))
    regression = task.kind == "regression"
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
    table = TokenTable.open(run.artifact("logits") / "tokens")
    rows = transfer_rows(phase, table, task.splits["train"].num_rows, task.splits.get("unlabelled"))
    logits, labels = read_logits(run.artifact("logits") / "logits.arrow"), table.column("label")
    pad_id = tokenizer.pad_token_id
    dev = write_rows(
        run.scratch / "dev",
        [task.splits["dev"]],
        tokenizer,
        max_length=task.max_length,
        progress=run.progress,
    )

    def columns(chosen: "NDArray[Any]") -> dict[str, Any]:
        if phase.targets == "labels":
            return {"labels": labels[chosen].astype("float32" if regression else "int64")}
        return {"logits": logits[chosen]}

    def learner(model: Any) -> Any:
        if config.relu_logits:
            relu_before_classifier(model)
        if phase.targets == "labels":
            return Classifier(model, regression=regression)
        return Predictor(
            model,
            regression=regression,
            temperature=phase.temperature,
            mean_over_classes=phase.reduction == "elements",
        )

    batches = plan(table.lengths[rows], training, seed=config.seed, max_length=task.max_length)
    read = reader(
        table,
        pad_id=pad_id,
        pad_to=batches.pad_to,
        round_to=round_to(run.runtime, task.max_length),
        columns=columns,
    )
    histories = fit(
        Training(
            {name: learner(model) for name, model in models.items()},
            batches,
            lambda places, step: read(rows[places], step),
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
        save_model(models[student.name], tokenizer, folder(run.output, student))
    run.record(dev_score={name: history.best for name, history in histories.items()}, rows=len(rows))


def transfer_rows(config: PredictionConfig, table: "TokenTable", train: int, unlabelled: Any) -> "NDArray[Any]":
    """Which rows of the transfer set are learned from.

    Gold labels exist for the training rows alone; without augmentation the unlabelled rows stay.
    """
    import numpy as np

    if config.targets == "labels":
        return np.arange(train)
    originals = train + (0 if unlabelled is None else unlabelled.num_rows)
    return np.arange(len(table) if config.augmented else originals)
