"""A whole run: corpus, teacher, students, the two distillation stages, and how they are judged."""

from pydantic import Field, PositiveInt, model_validator

from pipeline.config.augmentation import AugmentationConfig
from pipeline.config.base import Config
from pipeline.config.corpus import CorpusConfig
from pipeline.config.distillation import TWO_PHASES, GeneralDistillationConfig, PhaseConfig
from pipeline.config.models import CUT_STARTS, PretrainConfig, StudentConfig, TeacherConfig
from pipeline.config.precision import WantedPrecision
from pipeline.config.runtime import Runtime
from pipeline.config.task import TaskConfig
from pipeline.config.training import TrainingConfig

STAGES_OF_A_RUN = (
    *("corpus", "pretrain", "pretrained_initialisation", "general_distillation", "task_data", "teacher"),
    *("candidates", "augmentation", "teacher_logits", "initialisation", "label_only"),
    *("evaluation", "latency", "report"),
)


class EvaluationConfig(Config):
    """Metrics with confidence intervals, size and latency of every model, side by side."""

    label_only: TrainingConfig | None = Field(
        TrainingConfig(learning_rate=5e-4, epochs=5),
        title="Label-only student",
        description="A same-size student trained on the labels alone; the yardstick of distillation.",
    )
    tfidf: bool = Field(False, title="TF-IDF baseline", description="Logistic regression on word counts.")
    bootstrap: PositiveInt = Field(1000, title="Bootstrap resamples")
    latency_lengths: tuple[PositiveInt, ...] = Field((16, 64, 128), min_length=1, title="Latency at these lengths")
    latency_batches: tuple[PositiveInt, ...] = Field((1, 32), min_length=1, title="Latency at these batch sizes")


class RunConfig(Config):
    """General distillation, teacher fine-tuning, augmentation and task distillation (arXiv:1909.10351)."""

    name: str = Field("run", title="Name of the run")
    seed: int = Field(42, ge=0, title="Seed")
    student_seed: int | None = Field(
        None,
        ge=0,
        title="Seed of the students",
        description="Of their start, dropout and order of rows, while rows drawn, teacher and variants stay; as seed "
        "when empty.",
    )
    corpus: CorpusConfig | None = None
    pretrain: PretrainConfig | None = None
    teacher: TeacherConfig = TeacherConfig()
    task: TaskConfig | None = None
    students: tuple[StudentConfig, ...] = (StudentConfig(preset="tinybert-4l-312d"),)
    general_distillation: GeneralDistillationConfig | None = GeneralDistillationConfig()
    augmentation: AugmentationConfig | None = AugmentationConfig()
    phases: tuple[PhaseConfig, ...] = Field(
        TWO_PHASES, description="Task distillation, one phase after the other; TinyBERT's two by default."
    )
    evaluation: EvaluationConfig = EvaluationConfig()
    relu_logits: bool = Field(
        False, description="Logits are classifier(relu(pooled)), as in the released code; alters the teacher."
    )
    precision: WantedPrecision = Field(
        "auto",
        title="Precision",
        description="What matrix products are computed in; auto: bfloat16 on GPUs that have it and, for wide students, "
        "on CPUs with AMX.",
    )
    use: dict[str, str] = Field(
        {},
        title="Artifacts to use",
        description="Stage -> artifact that takes its place, of whatever run: teacher: teacher/v0003, or a tag.",
    )
    runtime: Runtime = Runtime()

    @model_validator(mode="after")
    def _consistent(self) -> "RunConfig":
        self._resolve_starts()
        self._check_students()
        self._check_phases()
        scratch = self.pretrain is not None and self.pretrain.mode == "scratch"
        if scratch == bool(self.teacher.model):
            raise ValueError(
                f"teacher.model is {self.teacher.model!r} and pretrain.mode is 'scratch': drop one of them"
                if scratch
                else "there is no teacher: set teacher.model (a folder or hub id), or pretrain one from scratch"
            )
        if self.corpus is None and self.task is None:
            msg = "there is no corpus and no task: set corpus.paths, task.dir (or task.train and task.dev), or both"
            raise ValueError(msg)
        self._check_starts()
        return self

    @property
    def seed_of_students(self) -> int:
        """Seed of everything that students do not share with their teacher and their rows."""
        return self.seed if self.student_seed is None else self.student_seed

    def _resolve_starts(self) -> None:
        """Say where a student starts that leaves it to the run."""
        start = "general" if self.corpus is not None and self.general_distillation is not None else "teacher"
        students = (
            student.model_copy(update={"start": start}) if student.start == "auto" else student
            for student in self.students
        )
        object.__setattr__(self, "students", tuple(students))  # the model is frozen for everybody else

    def _check_students(self) -> None:
        names = [student.name for student in self.students]
        if len(set(names)) != len(names):
            raise ValueError(f"students are named {names}: give each its own name")
        if not self.students:
            raise ValueError("students is empty: name at least one, e.g. [{preset: tinybert-4l-312d}]")
        for student in self.students:
            if student.take is not None and student.start not in CUT_STARTS:
                raise ValueError(
                    f"student {student.name!r} takes teacher layers but starts from {student.start}: "
                    "set its start to 'teacher'"
                )

    def _check_starts(self) -> None:
        general = [student.name for student in self.students if student.start == "general"]
        if general and self.general_distillation is None:
            msg = f"student {general[0]!r} starts from general distillation, which is off: set its start to 'random'"
            raise ValueError(msg)
        if self.corpus is None and (self.pretrain or general):
            raise ValueError("there is no corpus, but pretraining or general distillation reads one: set corpus.paths")
        cut = [student.name for student in self.students if student.start == "teacher"]
        if cut and self.relu_logits:
            msg = f"student {cut[0]!r} is cut out of the teacher, which relu_logits alters: set relu_logits to false"
            raise ValueError(msg)
        if cut and self.task is None:
            msg = f"student {cut[0]!r} starts from the fine-tuned teacher, but there is no task: set task, or its start"
            raise ValueError(msg)

    def _check_phases(self) -> None:
        names = [phase.name for phase in self.phases]
        for name in names:
            if names.count(name) > 1 or name in STAGES_OF_A_RUN:
                other = "another phase" if names.count(name) > 1 else "a stage of every run"
                raise ValueError(f"a phase is named {name!r}, like {other}: rename it")
        for phase in self.phases:
            if not any(True for _ in phase.terms.named()):
                msg = f"phase {phase.name!r} has no term, so nothing is learned in it: give one a weight, or delete it"
                raise ValueError(msg)
        if not self.phases:
            raise ValueError("phases is empty: name at least one, e.g. [{name: prediction, terms: {soft: 1}}]")
        last = self.phases[-1]
        if not (last.terms.reads("outputs") or last.terms.reads("labels")):
            raise ValueError(
                f"phase {last.name!r} is the last one and trains no outputs: give it the term soft or hard, "
                "or let another phase follow"
            )
