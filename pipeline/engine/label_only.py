"""Label-only students: trained on the gold labels without a teacher; the baseline of distillation."""

import torch

from pipeline.config.models import StudentConfig
from pipeline.config.precision import Precision
from pipeline.config.training import TrainingConfig
from pipeline.data.tasks.table import load_task
from pipeline.data.tokens.tokenizer import load_tokenizer
from pipeline.engine.compatibility import check_positions
from pipeline.engine.distil import distil
from pipeline.engine.inference import dev_scorer
from pipeline.engine.inputs import model_input
from pipeline.engine.learner import Learner
from pipeline.engine.objectives import from_labels
from pipeline.engine.student_identity import folder, student_seed
from pipeline.engine.student_models import output_names, student_config
from pipeline.engine.train_rows import train_rows
from pipeline.models.load import load_config, save_model
from pipeline.models.students import random_classifier
from pipeline.store.stage import StageRun


def run(
    run: StageRun, *, training: TrainingConfig, students: tuple[StudentConfig, ...], precision: Precision, seed: int
) -> None:
    """Train one student of each shape on the labelled rows.

    Args:
        run: this stage's execution; inputs ``task_data``, ``teacher``, whose tokenizer and model family the students
            use, and the models they start from.
        training: epochs, learning rate, batches, schedule.
        students: one student of each shape.
        precision: precision of the training.
        seed: seed of the run.
    """
    task = load_task(run.artifact("task_data"))
    source = model_input(run, "teacher")
    teacher, tokenizer = load_config(source), load_tokenizer(source.location, source.revision)
    rows = train_rows(run, task, tokenizer)
    score = dev_scorer(task, tokenizer, run)
    models = {}
    for student in students:
        shape = student_config(student, teacher, run)
        torch.manual_seed(student_seed(student, seed))
        models[student.name] = random_classifier(shape, output_names(task), regression=task.kind == "regression")
        check_positions(models[student.name], task.max_length, "task.max_length")
    histories = distil(
        run,
        {name: Learner(model, from_labels(task.outcome)) for name, model in models.items()},
        rows,
        training,
        seed=seed,
        precision=precision,
        score=score,
    )
    for student in students:
        save_model(models[student.name], tokenizer, folder(run.output, student), max_length=task.max_length)
    run.record(dev_score={name: history.best for name, history in histories.items()})
