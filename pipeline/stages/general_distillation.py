"""Stage ``general_distillation``: the pretrained teacher imitated on the corpus; no prediction loss."""

from typing import Any

from pipeline.config.base import Config
from pipeline.config.distillation import GeneralDistillationConfig
from pipeline.config.models import StudentConfig
from pipeline.config.precision import Precision
from pipeline.config.run import RunConfig
from pipeline.engine.compatibility import check_one_batch, check_positions, check_same_vocabulary, longest_row
from pipeline.engine.compilation import compilation
from pipeline.engine.inputs import model_input
from pipeline.engine.precision import student_precision, teacher_precision
from pipeline.engine.run_training import device, fit
from pipeline.engine.student_models import folder, identities, student_encoder
from pipeline.errors import ConfigError
from pipeline.stages.checks import Check, loads, reads_corpus, shares_vocabulary, students_fit, trains
from pipeline.stages.teacher_input import pretrained_teacher
from pipeline.store.stage import Stage, StageRun


class GeneralDistillationStage(Config):
    """What general distillation depends on beside its corpus and teacher."""

    distillation: GeneralDistillationConfig
    students: tuple[StudentConfig, ...]
    precision: Precision
    teacher_precision: Precision
    seed: int


def general_distillation(
    config: RunConfig, corpus: Stage[Any], pretrain: Stage[Any] | None
) -> Stage[GeneralDistillationStage]:
    """General students of a run: all that start from general distillation, from one teacher pass."""
    if config.general_distillation is None:
        raise ConfigError("there is no general distillation in this configuration: add a general_distillation section")
    students = tuple(student for student in config.students if student.start == "general")
    settings = GeneralDistillationStage(
        distillation=config.general_distillation,
        students=identities(students),
        precision=student_precision(config, students),
        teacher_precision=teacher_precision(config),
        seed=config.seed,
    )
    inputs = {"corpus": corpus, "teacher": pretrained_teacher(config, pretrain)}
    return Stage("general_distillation", 4, settings, inputs, _run, parallel=True)


def checks(config: RunConfig) -> tuple[Check, ...]:
    """What shows before general distillation: a device, a teacher of the corpus, and students that fit it."""
    if config.general_distillation is None:
        return ()
    students = [student for student in config.students if student.start == "general"]
    return (
        *trains(config.runtime),
        *loads(config.teacher.model),
        shares_vocabulary,
        reads_corpus,
        *students_fit(students, config.general_distillation.terms),
    )


def _run(config: GeneralDistillationStage, run: StageRun) -> None:
    from pipeline.data.tokens.table import TokenTable
    from pipeline.data.tokens.tokenizer import check_vocabulary, load_tokenizer
    from pipeline.engine.guides.caching import stored_teacher
    from pipeline.engine.guides.frozen import frozen_teacher, teacher_flops
    from pipeline.engine.objectives import TEACHER, guide_taps, imitators
    from pipeline.engine.rows import plan, reader
    from pipeline.engine.threads import runs_ahead
    from pipeline.models.load import load_encoder, save_model
    from pipeline.training.loop import Training

    training, terms = config.distillation.training, config.distillation.terms
    tokenizer = load_tokenizer(str(run.artifact("corpus") / "tokenizer"))
    source = model_input(run, "teacher")
    teacher = load_encoder(source)
    check_same_vocabulary(tokenizer, source)
    check_vocabulary(tokenizer, teacher.config.vocab_size)
    table = TokenTable.open(run.artifact("corpus") / "tokens")
    longest = int(table.lengths.max())
    check_positions(teacher, longest, "corpus.max_length")
    models = {student.name: student_encoder(student, teacher.config, run, config.seed) for student in config.students}
    learners = imitators(config.students, models, teacher.config, terms, seed=config.seed)
    taps = guide_taps(learners)
    batches = plan(table.lengths, training, seed=config.seed, max_length=longest)
    check_one_batch(batches, "general_distillation")
    compiled = compilation(run.runtime, device(run.runtime)).on
    show = frozen_teacher(teacher, taps, device(run.runtime), precision=config.teacher_precision, compiled=compiled)
    widths = [teacher.config.hidden_size, *(model.config.hidden_size for model in models.values())]
    ahead = runs_ahead(run.runtime, device(run.runtime), widths, dropout=False)
    stored = stored_teacher(show, batches, training, run, rows="corpus", terms=terms)
    read = reader(
        table,
        pad_id=tokenizer.pad_token_id,
        pad_to=batches.pad_to,
    )
    fit(
        Training(
            learners,
            batches,
            read,
            lambda batch, rows: {TEACHER: stored(batch, rows)},
            target_flops=teacher_flops(teacher, lambda: stored.computed_share),
        ),
        training,
        run,
        seed=config.seed,
        precision=config.precision,
        ahead=ahead,
    )
    for student in config.students:
        model = models[student.name]
        save_model(model, tokenizer, folder(run.output, student), max_length=longest_row(model, tokenizer))
    run.record(
        parameters={name: sum(p.numel() for p in model.parameters()) for name, model in models.items()},
        teacher_store=stored.record(),
    )
