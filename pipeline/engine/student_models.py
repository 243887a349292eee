"""Students as stages build them: at random, from general distillation, or from a model the user names."""

import torch
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from pipeline.config.models import StudentConfig
from pipeline.data.tasks.table import TaskData
from pipeline.engine.compatibility import check_positions, check_same_vocabulary
from pipeline.engine.inputs import model_input
from pipeline.engine.student_identity import check_stated, dropout, folder, mapped_layers, start_role, student_seed
from pipeline.errors import ModelError
from pipeline.models import students
from pipeline.models.load import load_classifier, load_config, load_encoder, load_finetuned
from pipeline.models.shapes import student_shape
from pipeline.models.source import ModelSource
from pipeline.models.trial import try_student
from pipeline.store.stage import StageRun
from pipeline.training.team import team


def student_config(student: StudentConfig, teacher: PretrainedConfig, run: StageRun) -> PretrainedConfig:
    """The student's model configuration, tried out, with a warning where it is larger than its teacher."""
    if run.has(start_role(student)):
        found = load_config(model_input(run, start_role(student)))
        check_stated(student, found.to_dict())
        if found.vocab_size != teacher.vocab_size:
            raise ModelError(
                f"student {student.name!r} starts from a model with {found.vocab_size} word pieces, the teacher has "
                f"{teacher.vocab_size}: start from one that shares the teacher's vocabulary"
            )
        return found
    shape, mapped = student_shape(student, teacher), mapped_layers(student, teacher)
    for warning in students.larger_than_teacher(shape, teacher):
        run.progress.note(f"warning: {student.name}: {warning}")
    config = students.student_config(shape, teacher, dropout=dropout(student), layers=mapped)
    if not team().follows:  # of several processes Transformers lets the first alone write a model
        try_student(config, student.name, ())
    return config


def student_encoder(student: StudentConfig, teacher: PretrainedConfig, run: StageRun, seed: int) -> PreTrainedModel:
    """The student before any distillation: at random, cut out of its teacher, or the model it starts from."""
    config = student_config(student, teacher, run)
    if run.has(start_role(student)):
        return load_encoder(model_input(run, start_role(student)))
    if student.start == "pretrained":
        return load_encoder(ModelSource(str(folder(run.artifact("pretrained_initialisation"), student))))
    return students.build_encoder(config, student_seed(student, seed))


def student_classifier(
    student: StudentConfig,
    teacher: PretrainedConfig,
    tokenizer: PreTrainedTokenizerFast,
    task: TaskData,
    run: StageRun,
    seed: int,
) -> PreTrainedModel:
    """The student with a fresh head for the task, from wherever it starts.

    ``run`` holds the roles ``general``, ``initialisation`` and ``pretrained_initialisation`` where these stages have
    been, and a role of its own for each student that starts from a model. A student that is cut out of the fine-tuned
    teacher brings its head.

    Raises:
        ModelError: it starts from a model of another vocabulary than the teacher's ``tokenizer``, or of fewer
            positions than the task's rows are long.
    """
    torch.manual_seed(student_seed(student, seed))
    names, regression = output_names(task), task.kind == "regression"
    if student.start == "teacher":
        model = load_finetuned(ModelSource(str(folder(run.artifact("initialisation"), student))))
    elif student.learns_general:
        made = "general" if run.has("general") else "pretrained_initialisation"
        source = ModelSource(str(folder(run.artifact(made), student)))
        model = load_classifier(source, names, regression=regression)
    elif student.start == "random":
        model = students.random_classifier(student_config(student, teacher, run), names, regression=regression)
    else:
        student_config(student, teacher, run)
        source = model_input(run, start_role(student))
        check_same_vocabulary(
            tokenizer,
            source,
            said=f"student {student.name!r} starts from",
            whose="the teacher",
            way_out="start from a model that shares the teacher's vocabulary",
        )
        model = load_classifier(source, names, regression=regression)
    check_positions(model, task.max_length, "task.max_length")
    return model


def output_names(task: TaskData) -> tuple[str, ...]:
    """Names of a model's outputs: the task's labels, or the one number of a regression."""
    return task.label_names or ("score",)
