"""Students as stages start them: at random, from general distillation, or from a model the user names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config.models import PRESETS, USUAL_DROPOUT, StudentConfig
from pipeline.engine.compatibility import check_positions, check_same_vocabulary
from pipeline.engine.inputs import model_input, model_source
from pipeline.errors import ModelError
from pipeline.models.described import NAMES, describe, dropout_of, shape_of
from pipeline.store.source import Source
from pipeline.store.stage import StageRun

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

    from pipeline.data.tasks.table import TaskData

NAMED = ("general", "random")


def folder(artifact: Path, student: StudentConfig) -> Path:
    """Where an artifact keeps a student."""
    return artifact / "students" / student.name


def start_sources(students: Sequence[StudentConfig]) -> dict[str, Source]:
    """The models that students start from and that no stage makes, by role."""
    return {_role(student): model_source(student.start) for student in students if student.start not in NAMED}


def identities(students: Sequence[StudentConfig]) -> tuple[StudentConfig, ...]:
    """The students as what they are, however that was written.

    The models they start from are inputs of their own, so their places do not count; a default that is stated is no
    other student than one that is left out.

    Raises:
        ModelError: a student is said to have another shape than the folder it starts from.
    """
    return tuple(map(_identity, students))


def _identity(student: StudentConfig) -> StudentConfig:
    if student.start in NAMED:
        return student.model_copy(update=_shape_as_written_shortest(student) | {"dropout": dropout(student)})
    described = describe(student.start)
    if described is None:  # what is stated is compared once the model is there
        return student.model_copy(update={"start": "model"})
    check_stated(student, described)
    return student.model_copy(update={"start": "model", "preset": None, **dict.fromkeys((*NAMES, "dropout"))})


def _shape_as_written_shortest(student: StudentConfig) -> dict[str, Any]:
    """A preset that was spelt out by its name, and a usual feed-forward width not at all."""
    if student.preset or not student.hidden:
        return {}
    width = student.intermediate or 4 * student.hidden
    written = (student.layers, student.hidden, student.heads, width)
    preset = next((name for name, shape in PRESETS.items() if tuple(dict(shape).values()) == written), None)
    if preset:
        return {"preset": preset, **dict.fromkeys(NAMES)}
    return {"intermediate": None if width == 4 * student.hidden else width}


def dropout(student: StudentConfig) -> float:
    """The dropout of a student that starts from no model of its own."""
    return USUAL_DROPOUT if student.dropout is None else student.dropout


def check_stated(student: StudentConfig, described: Mapping[str, Any]) -> None:
    """Refuse a shape or dropout that the model a student starts from does not have; it would be ignored.

    Args:
        student: that starts from a model.
        described: the configuration of that model.

    Raises:
        ModelError: names both numbers and the way out.
    """
    stated = dict(PRESETS[student.preset]) if student.preset else {name: getattr(student, name) for name in NAMES}
    own = {**shape_of(described), "dropout": dropout_of(described)}
    for name, wanted in {**stated, "dropout": student.dropout}.items():
        there = own.get(name)
        if wanted is not None and there is not None and wanted != there:
            said = f"preset {student.preset!r} ({name} {wanted})" if name in stated and student.preset else ""
            raise ModelError(
                f"student {student.name!r} has {said or f'{name} {wanted}'} but starts from {student.start}, which has "
                f"{name} {there}: leave the shape to the model it starts from, or start from random"
            )


def student_config(student: StudentConfig, teacher: "PretrainedConfig", run: StageRun) -> "PretrainedConfig":
    """The student's model configuration, tried out, with a warning where it is larger than its teacher."""
    from pipeline.engine.student_identity import mapped_layers
    from pipeline.models.load import load_config
    from pipeline.models.shapes import student_shape
    from pipeline.models.students import larger_than_teacher, student_config
    from pipeline.models.trial import try_student
    from pipeline.training.team import team

    if run.has(_role(student)):
        found = load_config(model_input(run, _role(student)))
        check_stated(student, found.to_dict())
        if found.vocab_size != teacher.vocab_size:
            raise ModelError(
                f"student {student.name!r} starts from a model with {found.vocab_size} word pieces, the teacher has "
                f"{teacher.vocab_size}: start from one that shares the teacher's vocabulary"
            )
        return found
    shape, mapped = student_shape(student, teacher), mapped_layers(student, teacher)
    for warning in larger_than_teacher(shape, teacher):
        run.progress.note(f"warning: {student.name}: {warning}")
    config = student_config(shape, teacher, dropout=dropout(student), layers=mapped)
    if not team().follows:  # of several processes Transformers lets the first alone write a model
        try_student(config, student.name, attention=False)
    return config


def student_encoder(student: StudentConfig, teacher: "PretrainedConfig", run: StageRun, seed: int) -> "PreTrainedModel":
    """The student before any distillation: at random, or the model it starts from."""
    from pipeline.engine.student_identity import student_seed
    from pipeline.models.load import load_encoder
    from pipeline.models.students import build_encoder

    config = student_config(student, teacher, run)
    if run.has(_role(student)):
        return load_encoder(model_input(run, _role(student)))
    return build_encoder(config, student_seed(student, seed))


def student_classifier(
    student: StudentConfig,
    teacher: "PretrainedConfig",
    tokenizer: "PreTrainedTokenizerFast",
    task: "TaskData",
    run: StageRun,
    seed: int,
) -> "PreTrainedModel":
    """The student with a fresh head for the task, from wherever it starts.

    ``run`` holds the role ``general`` where general distillation has been, and a role of its own for
    each student that starts from a model.

    Raises:
        ModelError: it starts from a model of another vocabulary than the teacher's ``tokenizer``, or of fewer
            positions than the task's rows are long.
    """
    import torch

    from pipeline.engine.student_identity import student_seed
    from pipeline.models.load import ModelSource, load_classifier
    from pipeline.models.students import random_classifier

    torch.manual_seed(student_seed(student, seed))
    names, regression = output_names(task), task.kind == "regression"
    if student.start == "general":
        source = ModelSource(str(folder(run.artifact("general"), student)))
        model = load_classifier(source, names, regression=regression)
    elif student.start == "random":
        model = random_classifier(student_config(student, teacher, run), names, regression=regression)
    else:
        student_config(student, teacher, run)
        source = model_input(run, _role(student))
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


def output_names(task: "TaskData") -> tuple[str, ...]:
    """Names of a model's outputs: the task's labels, or the one number of a regression."""
    return task.label_names or ("score",)


def inputs_for(students: Sequence[StudentConfig], general: Any) -> dict[str, Any]:
    """The roles that ``student_classifier`` reads."""
    inputs: dict[str, Any] = dict(start_sources(students))
    if general is not None:
        inputs["general"] = general
    return inputs


def _role(student: StudentConfig) -> str:
    return f"start_{student.name}"
