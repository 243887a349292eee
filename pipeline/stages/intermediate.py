"""Stage ``intermediate``: phase one of task distillation; the fine-tuned teacher's layers are imitated."""

from typing import Any

from pipeline.config.base import Config
from pipeline.config.distillation import IntermediateConfig
from pipeline.config.models import StudentConfig
from pipeline.config.precision import Precision
from pipeline.config.run import RunConfig
from pipeline.errors import ConfigError
from pipeline.stages.compilation import compilation
from pipeline.stages.engine import device, fit, round_to
from pipeline.stages.precision import resolve
from pipeline.stages.student_models import folder, identities, inputs_for, student_classifier
from pipeline.store.stage import Stage, StageRun


class IntermediateStage(Config):
    """What the intermediate phase depends on beside its rows, teacher and general students."""

    intermediate: IntermediateConfig
    students: tuple[StudentConfig, ...]
    precision: Precision
    seed: int


def intermediate(
    config: RunConfig,
    teacher: Stage[Any],
    teacher_logits: Stage[Any],
    task_data: Stage[Any],
    general: Stage[Any] | None,
) -> Stage[IntermediateStage]:
    """Students after phase one, all from one teacher pass."""
    if config.intermediate is None:
        raise ConfigError("there is no intermediate phase in this configuration: add an intermediate section")
    settings = IntermediateStage(
        intermediate=config.intermediate,
        students=identities(config.students),
        precision=resolve(config),
        seed=config.seed,
    )
    inputs = {"teacher": teacher, "rows": teacher_logits, "task_data": task_data}
    return Stage("intermediate", 2, settings, inputs | inputs_for(config.students, general), _run, parallel=True)


def _run(config: IntermediateStage, run: StageRun) -> None:
    from pipeline.data.table import TokenTable
    from pipeline.data.task_table import load_task
    from pipeline.data.tokenizer import load_tokenizer
    from pipeline.models.load import ModelSource, load_finetuned, save_model
    from pipeline.stages.imitation import imitators, teacher_features, teacher_flops
    from pipeline.stages.rows import plan, reader
    from pipeline.stages.teacher_store import stored_teacher
    from pipeline.training.loop import Training

    phase = config.intermediate
    task = load_task(run.artifact("task_data"))
    location = run.artifact("teacher") / "model"
    tokenizer = load_tokenizer(str(location))
    teacher = load_finetuned(ModelSource(str(location)))
    table = TokenTable.open(run.artifact("rows") / "tokens")
    models = {
        student.name: student_classifier(student, teacher.config, tokenizer, task, run, config.seed)
        for student in config.students
    }
    learners, layers = imitators(config.students, models, teacher, phase.terms, seed=config.seed)
    batches = plan(table.lengths, phase.training, seed=config.seed, max_length=task.max_length)
    compiled = compilation(run.runtime, device(run.runtime)).on
    features = teacher_features(
        teacher,
        layers,
        device(run.runtime),
        dropout=phase.teacher_dropout,
        attention=bool(phase.terms.attention),
        precision=config.precision,
        compiled=compiled,
    )
    target = stored_teacher(
        features,
        teacher,
        batches,
        phase.training,
        run,
        rows="rows",
        terms=phase.terms,
        layers=layers,
        dropout=phase.teacher_dropout,
        arithmetic=f"{config.precision}, compiled: {compiled}",
    )
    read = reader(
        table,
        pad_id=tokenizer.pad_token_id,
        pad_to=batches.pad_to,
        round_to=round_to(run.runtime, task.max_length),
    )
    fit(
        Training(learners, batches, read, target, target_flops=teacher_flops(teacher, target)),
        phase.training,
        run,
        seed=config.seed,
        precision=config.precision,
    )
    run.record(teacher_store=target.record())
    for student in config.students:
        save_model(models[student.name], tokenizer, folder(run.output, student))
