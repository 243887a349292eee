"""A phase of task distillation: students learn named terms from the fine-tuned teacher and the labels.

TinyBERT's are two (arXiv:1909.10351, section 3.2): in ``intermediate`` the teacher's layers are imitated, in
``prediction`` its outputs. Which rows, guides and scores a phase needs follows from its terms.
"""

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from pipeline.config.augmentation import Labels
from pipeline.config.distillation import PhaseConfig
from pipeline.config.models import StudentConfig
from pipeline.config.precision import Precision
from pipeline.data.tasks.table import TaskData, load_task
from pipeline.data.tokens.tokenizer import load_tokenizer
from pipeline.engine.distil import LOGITS, Columns, Rows, ShownTeacher, distil
from pipeline.engine.heads import fit_heads
from pipeline.engine.inference import dev_scorer
from pipeline.engine.objectives import build_learners
from pipeline.engine.projections import load_projections, save_projections
from pipeline.engine.student_identity import folder
from pipeline.engine.student_models import student_classifier
from pipeline.engine.transfer_set import TransferSet
from pipeline.features import IGNORED, Outcome
from pipeline.models.load import load_config, load_finetuned, save_model
from pipeline.models.released import has_relu, relu_before_classifier
from pipeline.models.source import ModelSource
from pipeline.store.stage import StageRun


def run(
    run: StageRun,
    *,
    phase: PhaseConfig,
    students: tuple[StudentConfig, ...],
    labels: Labels,
    precision: Precision,
    teacher_precision: Precision | None,
    seed: int,
) -> None:
    """Students after a phase, all from one teacher pass over its rows.

    Args:
        run: inputs ``teacher``, ``rows`` and ``task_data``; ``previous`` for a phase that follows another one, else
            what students start from.
        phase: terms, rows and training.
        students: who learns.
        labels: whose label a variant carries.
        precision: of the students.
        teacher_precision: of a teacher whose layers are read; None where none are.
        seed: of the run.
    """
    task = load_task(run.artifact("task_data"))
    outcome: Outcome = "value" if task.kind == "regression" else "classes"
    location = str(run.artifact("teacher") / "model")
    tokenizer = load_tokenizer(location)
    teacher = load_finetuned(ModelSource(location)) if teacher_precision else None
    shape = teacher.config if teacher is not None else load_config(ModelSource(location))
    models = _models(run, students, shape, tokenizer, task, seed)
    transfer = TransferSet.open(run.artifact("rows"), task)
    chosen = transfer.learned_from(labels, augmented=phase.augmented, gold=phase.terms.gold_alone)
    score = None
    if phase.terms.reads_rows:
        score = dev_scorer(task, tokenizer, run)
    made = build_learners(students, models, shape, phase.terms, outcome=outcome, seed=seed)
    for role in ("pretrained_initialisation", "general", "initialisation", "previous"):
        if run.has(role):
            load_projections(made, run.artifact(role))
    columns = _columns(transfer, phase, labels, outcome)
    rows = Rows(transfer.table, tokenizer.pad_token_id, task.max_length, role="rows", chosen=chosen, columns=columns)
    histories = distil(
        run,
        made,
        rows,
        phase.training,
        seed=seed,
        precision=precision,
        teacher=ShownTeacher(teacher, teacher_precision, phase.teacher_dropout)
        if teacher is not None and teacher_precision
        else None,
        score=score,
        evaluations_per_epoch=phase.evaluations_per_epoch,
        scores_start=run.has("previous") or run.has("initialisation"),
    )
    if phase.fit_head:
        fit_heads(run, models, rows)
    save_projections(made, run.output)
    for student in students:
        save_model(models[student.name], tokenizer, folder(run.output, student), max_length=task.max_length)
    scores = {name: history.best for name, history in histories.items()} if score else None
    run.record(rows=len(chosen), **({"dev_score": scores} if scores else {}))


def _models(
    run: StageRun,
    students: tuple[StudentConfig, ...],
    teacher: PreTrainedConfig,
    tokenizer: PreTrainedTokenizerFast,
    task: TaskData,
    seed: int,
) -> dict[str, PreTrainedModel]:
    if run.has("previous"):
        folders = {student.name: folder(run.artifact("previous"), student) for student in students}
        return {name: load_finetuned(ModelSource(str(path))) for name, path in folders.items()}
    models = {student.name: student_classifier(student, teacher, tokenizer, task, run, seed) for student in students}
    if has_relu(teacher):
        for model in models.values():
            relu_before_classifier(model)
    return models


def _columns(transfer: TransferSet, phase: PhaseConfig, labels: Labels, outcome: Outcome) -> Columns | None:
    """What a batch holds beside its tokens: the teacher's logits, gold labels, whatever the terms read."""
    terms = phase.terms
    if not terms.reads_rows:
        return None
    speakers, gold = transfer.speakers(labels), transfer.gold(labels)
    known = gold.astype(np.float32) if outcome == "value" else np.where(np.isnan(gold), IGNORED, gold).astype(np.int64)

    def columns(rows: NDArray[np.int64]) -> dict[str, NDArray[np.generic]]:
        found: dict[str, NDArray[np.generic]] = {}
        if terms.reads("labels"):
            found["labels"] = known[rows]
        if terms.reads("outputs"):
            found[LOGITS] = transfer.logits[speakers[rows]]
        return found

    return columns
