"""A stage for each phase of task distillation, named as the phase is: ``intermediate``, ``prediction``."""

from typing import Any

from pipeline.checks.checks import Check, students_fit, trains
from pipeline.config.augmentation import Labels
from pipeline.config.base import Config
from pipeline.config.distillation import PhaseConfig
from pipeline.config.models import StudentConfig
from pipeline.config.precision import Precision
from pipeline.config.run import RunConfig
from pipeline.engine.precision import student_precision, teacher_precision
from pipeline.engine.student_identity import identities, inputs_for
from pipeline.store.entry import entry
from pipeline.store.stage import Stage


class PhaseStage(Config):
    """What a phase depends on beside its rows, its teacher and the students it begins with.

    Attributes:
        teacher_precision: None where no layer of the teacher is read.
    """

    phase: PhaseConfig
    students: tuple[StudentConfig, ...]
    labels: Labels
    precision: Precision
    teacher_precision: Precision | None
    seed: int


def phase(
    config: RunConfig,
    wanted: PhaseConfig,
    teacher: Stage[Any],
    rows: Stage[Any],
    task_data: Stage[Any],
    previous: Stage[Any] | None,
    **made: Stage[Any] | None,
) -> Stage[PhaseStage]:
    """Students after a phase, all from one teacher pass.

    Args:
        config: of the run.
        wanted: the phase.
        teacher: fine-tuned.
        rows: the transfer set with the teacher's logits.
        task_data: the task.
        previous: the phase before; None for the first one.
        made: stages that make the students a first phase begins with, by role (``inputs_for``).
    """
    layers = wanted.terms.reads("layers")
    settings = PhaseStage(
        phase=_identity(wanted),
        students=identities(config.students),
        labels=labels_of_variants(config, wanted),
        precision=student_precision(config),
        teacher_precision=teacher_precision(config) if layers else None,
        seed=config.seed_of_students,
    )
    inputs: dict[str, Any] = {"teacher": teacher, "rows": rows, "task_data": task_data}
    inputs |= inputs_for(config.students, **made) if previous is None else {"previous": previous}
    return Stage(
        wanted.name, 8, settings, inputs, entry("pipeline.engine.phase"), parallel=True, cost="pipeline.cost.training"
    )


def _identity(wanted: PhaseConfig) -> PhaseConfig:
    """The phase without what changes nothing in it: its name, and how it is scored where it is not."""
    usual = {name: PhaseConfig.model_fields[name].default for name in ("teacher_dropout", "evaluations_per_epoch")}
    unused = [] if wanted.terms.reads("layers") else ["teacher_dropout"]
    unused += [] if wanted.terms.reads_rows else ["evaluations_per_epoch"]
    return wanted.model_copy(update={"name": "phase", **{name: usual[name] for name in unused}})


def checks(config: RunConfig, wanted: PhaseConfig) -> tuple[Check, ...]:
    """What shows before a phase: a device, and students that fit the teacher as far as its terms read it."""
    terms = wanted.terms if wanted.terms.reads("layers") else None
    first = config.phases[0].name == wanted.name
    return (*trains(config.runtime), *(students_fit(config.students, terms) if first or terms else ()))


def labels_of_variants(config: RunConfig, wanted: PhaseConfig) -> Labels:
    """Whose label a variant carries, as far as a phase can tell: what it never sees changes nothing."""
    if config.augmentation is None or not wanted.augmented:
        return "teacher"
    labels = config.augmentation.labels
    if not wanted.terms.reads_rows:  # it reads no label, but leaves out variants that disagree
        return "agree" if labels == "agree" else "teacher"
    # Of gold labels only an origin's can be a variant's; no other policy has variants fitted to them.
    return "teacher" if wanted.terms.gold_alone and labels == "agree" else labels
