"""General distillation: the pretrained teacher's layers are imitated on the corpus (arXiv:1909.10351, section 3.2)."""

from pipeline.config.distillation import GeneralDistillationConfig
from pipeline.config.models import StudentConfig
from pipeline.config.precision import Precision
from pipeline.data.tokens.table import TokenTable
from pipeline.data.tokens.tokenizer import check_vocabulary, load_tokenizer
from pipeline.engine.compatibility import check_one_batch, check_positions, check_same_vocabulary, longest_row
from pipeline.engine.distil import Rows, ShownTeacher, distil
from pipeline.engine.inputs import model_input
from pipeline.engine.objectives import build_learners
from pipeline.engine.projections import load_projections, save_projections
from pipeline.engine.student_identity import folder
from pipeline.engine.student_models import student_encoder
from pipeline.models.load import load_encoder, save_model
from pipeline.store.stage import StageRun


def run(
    run: StageRun,
    *,
    distillation: GeneralDistillationConfig,
    students: tuple[StudentConfig, ...],
    precision: Precision,
    teacher_precision: Precision,
    seed: int,
) -> None:
    """General students, all from one teacher pass over the corpus.

    Args:
        run: inputs ``corpus`` and ``teacher``, and ``pretrained_initialisation`` where students are cut out of it.
        distillation: terms and training.
        students: that start from general distillation.
        precision: of the students.
        teacher_precision: of the teacher.
        seed: of the run.
    """
    tokenizer = load_tokenizer(str(run.artifact("corpus") / "tokenizer"))
    source = model_input(run, "teacher")
    teacher = load_encoder(source)
    check_same_vocabulary(tokenizer, source)
    check_vocabulary(tokenizer, teacher.config.vocab_size)
    table = TokenTable.open(run.artifact("corpus") / "tokens")
    longest = int(table.lengths.max())
    check_positions(teacher, longest, "corpus.max_length")
    models = {student.name: student_encoder(student, teacher.config, run, seed) for student in students}
    rows = Rows(table, tokenizer.pad_token_id, longest, role="corpus")
    check_one_batch(rows.batches(distillation.training, seed), "general_distillation")
    made = build_learners(students, models, teacher.config, distillation.terms, seed=seed)
    if run.has("pretrained_initialisation"):
        load_projections(made, run.artifact("pretrained_initialisation"))
    distil(
        run,
        made,
        rows,
        distillation.training,
        seed=seed,
        precision=precision,
        teacher=ShownTeacher(teacher, teacher_precision),
    )
    save_projections(made, run.output)
    for student in students:
        model = models[student.name]
        save_model(model, tokenizer, folder(run.output, student), max_length=longest_row(model, tokenizer))
    run.record(parameters={name: sum(p.numel() for p in model.parameters()) for name, model in models.items()})
