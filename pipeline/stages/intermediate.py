"""Stage ``intermediate``: phase one of task distillation; the fine-tuned teacher's layers are imitated."""

from typing import TYPE_CHECKING, Any

from pipeline.config.augmentation import Labels
from pipeline.config.base import Config
from pipeline.config.distillation import IntermediateConfig
from pipeline.config.models import StudentConfig
from pipeline.config.precision import Precision
from pipeline.config.run import RunConfig
from pipeline.engine.compilation import compilation
from pipeline.engine.precision import student_precision, teacher_precision
from pipeline.engine.run_training import device, fit
from pipeline.engine.student_models import folder, identities, inputs_for, student_classifier
from pipeline.errors import ConfigError
from pipeline.stages.checks import Check, students_fit, trains
from pipeline.store.stage import Stage, StageRun

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class IntermediateStage(Config):
    """What the intermediate phase depends on beside its rows, teacher and general students."""

    intermediate: IntermediateConfig
    students: tuple[StudentConfig, ...]
    labels: Labels
    precision: Precision
    teacher_precision: Precision
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
        labels=labels_of_variants(config),
        precision=student_precision(config),
        teacher_precision=teacher_precision(config),
        seed=config.seed,
    )
    inputs = {"teacher": teacher, "rows": teacher_logits, "task_data": task_data}
    return Stage("intermediate", 4, settings, inputs | inputs_for(config.students, general), _run, parallel=True)


def checks(config: RunConfig) -> tuple[Check, ...]:
    """What shows before phase one: a device, and students that fit the teacher."""
    if config.intermediate is None:
        return ()
    return (*trains(config.runtime), *students_fit(config.students, config.intermediate.terms))


def labels_of_variants(config: RunConfig) -> Labels:
    """Whose label a variant carries, as far as this phase can tell: it reads none, but drops those that disagree."""
    return "agree" if config.augmentation is not None and config.augmentation.labels == "agree" else "teacher"


def _run(config: IntermediateStage, run: StageRun) -> None:
    from pipeline.data.tasks.table import load_task
    from pipeline.data.tokens.tokenizer import load_tokenizer
    from pipeline.engine.guides.caching import stored_teacher
    from pipeline.engine.guides.frozen import frozen_teacher, teacher_flops
    from pipeline.engine.objectives import TEACHER, guide_taps, imitators
    from pipeline.engine.rows import plan, reader
    from pipeline.engine.threads import runs_ahead
    from pipeline.engine.transfer_set import TransferSet
    from pipeline.models.load import ModelSource, load_finetuned, save_model
    from pipeline.training.loop import Training

    phase = config.intermediate
    task = load_task(run.artifact("task_data"))
    location = run.artifact("teacher") / "model"
    tokenizer = load_tokenizer(str(location))
    teacher = load_finetuned(ModelSource(str(location)))
    transfer = TransferSet.open(run.artifact("rows"), task)
    rows = transfer.learned_from(config.labels)
    models = {
        student.name: student_classifier(student, teacher.config, tokenizer, task, run, config.seed)
        for student in config.students
    }
    learners = imitators(config.students, models, teacher.config, phase.terms, seed=config.seed)
    taps = guide_taps(learners)
    batches = plan(transfer.table.lengths[rows], phase.training, seed=config.seed, max_length=task.max_length)
    compiled = compilation(run.runtime, device(run.runtime)).on
    show = frozen_teacher(
        teacher,
        taps,
        device(run.runtime),
        dropout=phase.teacher_dropout,
        precision=config.teacher_precision,
        compiled=compiled,
    )
    widths = [teacher.config.hidden_size, *(model.config.hidden_size for model in models.values())]
    ahead = runs_ahead(run.runtime, device(run.runtime), widths, dropout=phase.teacher_dropout)
    stored = stored_teacher(show, batches, phase.training, run, rows="rows", terms=phase.terms, chosen=rows)
    read_rows = reader(
        transfer.table,
        pad_id=tokenizer.pad_token_id,
        pad_to=batches.pad_to,
    )

    def read(places: "NDArray[np.int64]", step: int) -> dict[str, Any]:
        return read_rows(rows[places], step)

    fit(
        Training(
            learners,
            batches,
            read,
            lambda batch, rows: {TEACHER: stored(batch, rows)},
            target_flops=teacher_flops(teacher, lambda: stored.computed_share),
        ),
        phase.training,
        run,
        seed=config.seed,
        precision=config.precision,
        ahead=ahead,
    )
    run.record(teacher_store=stored.record(), rows=len(rows))
    for student in config.students:
        save_model(models[student.name], tokenizer, folder(run.output, student), max_length=task.max_length)
