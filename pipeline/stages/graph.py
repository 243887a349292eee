"""The only list of stages: how a run joins them into a graph, and what of them is refused before anything runs.

A run is described in full, and its mistakes are found, without loading torch.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pipeline.checks.checks import Check
from pipeline.checks.known import Known
from pipeline.config.run import RunConfig
from pipeline.errors import ConfigError, MistakesError, PipelineError
from pipeline.stages import (
    augmentation,
    candidates,
    corpus,
    evaluation,
    general_distillation,
    initialisation,
    label_only,
    latency,
    phase,
    pretrain,
    report,
    task_data,
    teacher,
    teacher_logits,
)
from pipeline.store.finished import FinishedStage
from pipeline.store.source import Source
from pipeline.store.stage import Stage, ancestors, by_name
from pipeline.store.store import Store

AnyStage = Stage[Any]
# Stages whose artifact may come from another run; what others make is bound to the run's own rows and students.
USABLE = ("corpus", "pretrain", "general_distillation", "teacher", "candidates", "augmentation")


@dataclass(frozen=True)
class TwoStage:
    """The stages of a run in the order of the paper; None where the configuration leaves one out."""

    corpus: AnyStage | None = None
    pretrain: AnyStage | None = None
    cut_on_corpus: AnyStage | None = None
    general_distillation: AnyStage | None = None
    task_data: AnyStage | None = None
    cut_on_task: AnyStage | None = None
    teacher: AnyStage | None = None
    candidates: AnyStage | None = None
    augmentation: AnyStage | None = None
    teacher_logits: AnyStage | None = None
    initialisation: AnyStage | None = None
    phases: tuple[AnyStage, ...] = ()
    label_only: AnyStage | None = None
    evaluation: AnyStage | None = None
    latency: AnyStage | None = None
    report: AnyStage | None = None

    def __iter__(self) -> Iterator[AnyStage]:
        """The stages there are, each after those it needs."""
        for place in vars(self).values():
            yield from place if isinstance(place, tuple) else () if place is None else (place,)


def two_stage(config: RunConfig, until: str | None = None) -> TwoStage:
    """General distillation, then task distillation (arXiv:1909.10351, figure 1).

    Without a task the run ends with the general students.

    Args:
        config: the run.
        until: name of a stage; only it and what it needs are kept.

    Raises:
        ConfigError: there is no such stage in this run, or none at all, or it would ask a hub and may not.
    """
    stages = _all_stages(config)
    named = by_name(stages)
    if not any(stages):
        raise ConfigError("there is nothing to run: set a corpus, a task, or both")
    if config.runtime.offline:
        _check_offline(stages)
    if until is None:
        return stages
    if until not in named:
        raise ConfigError(f"this run has no stage {until!r}: choose one of {', '.join(named)}")
    last = named[until]
    wanted = {stage.name for stage in (*ancestors(last), last)}
    return TwoStage(**{place: _kept(there, wanted) for place, there in vars(stages).items()})


def _kept(place: Any, wanted: Collection[str]) -> Any:
    if isinstance(place, tuple):
        return tuple(stage for stage in place if stage.name in wanted)
    return place if place is not None and place.name in wanted else None


def _all_stages(config: RunConfig) -> TwoStage:
    use, made = partial(_or_artifact, config), dict[str, Any]()
    starts = {student.start for student in config.students}
    text = made["corpus"] = use(corpus.corpus(config)) if config.corpus else None
    data = made["task_data"] = use(task_data.task_data(config)) if config.task else None
    mlm = made["pretrain"] = use(pretrain.pretrain(config, text)) if config.pretrain and text else None
    cut = (
        use(initialisation.pretrained_initialisation(config, mlm, text, data))
        if "pretrained" in starts and (text or data)
        else None
    )
    made["cut_on_corpus" if text else "cut_on_task"] = cut
    general = made["general_distillation"] = (
        use(general_distillation.general_distillation(config, text, mlm, cut))
        if text and config.general_distillation and any(student.learns_general for student in config.students)
        else None
    )
    if data is None:
        return _with_artifacts(config, made)
    tuned = made["teacher"] = use(teacher.teacher(config, data, mlm))
    proposed = candidates.candidates(config, data, mlm) if config.augmentation else None
    words = made["candidates"] = use(proposed) if proposed else None
    variants = made["augmentation"] = use(augmentation.augmentation(config, data, words)) if words else None
    logits = made["teacher_logits"] = use(teacher_logits.teacher_logits(config, data, tuned, variants, proposed))
    own = made["initialisation"] = (
        use(initialisation.initialisation(config, tuned, data)) if "teacher" in starts else None
    )
    begun = {"general": general, "initialisation": own, "pretrained_initialisation": cut}
    final: AnyStage | None = None
    made["phases"] = ()
    for wanted in config.phases:
        final = use(phase.phase(config, wanted, tuned, logits, data, final, **begun))
        made["phases"] += (final,)
    assert final is not None  # noqa: S101 - a configuration has a phase
    yardstick = use(label_only.label_only(config, data, mlm)) if config.evaluation.label_only else None
    made["label_only"] = yardstick
    made["evaluation"] = evaluation.evaluation(config, data, tuned, final, yardstick)
    made["latency"] = latency.latency(config, tuned, final, yardstick)
    run = _with_artifacts(config, made)
    return replace(run, report=report.report(config, list(run)))


def _or_artifact(config: RunConfig, stage: AnyStage) -> AnyStage:
    """A stage, or the artifact that the configuration puts in its place.

    Raises:
        ConfigError: it is an artifact of another stage, or lacks a student of the run.
        StoreError: there is none.
    """
    ref = config.use.get(stage.name)
    if ref is None:
        return stage
    artifact = Store(config.runtime.store).open(ref)
    made = artifact.manifest.stage
    if made != stage.name:
        raise ConfigError(f"use.{stage.name} is {ref!r}, an artifact of {made}: name one of {stage.name}")
    for student in config.students if stage.name == "general_distillation" else ():
        there = any(name.startswith(f"students/{student.name}/") for name in artifact.manifest.files)
        if student.learns_general and not there:
            raise ConfigError(f"use.{stage.name} is {ref!r}, which has no student {student.name!r}: name one that has")
    return FinishedStage(artifact)


def _with_artifacts(config: RunConfig, made: Mapping[str, Any]) -> TwoStage:
    """The run; where artifacts stand for stages, without what only those stages needed."""
    run = TwoStage(**made)
    if not config.use:
        return run
    for name in config.use:
        if name not in USABLE or name not in {stage.name for stage in run}:
            there = ", ".join(stage.name for stage in run if stage.name in USABLE)
            raise ConfigError(
                f"use.{name} names no stage that an artifact can stand for in this run: choose of {there}"
            )
    last = [stage for stage in (run.evaluation, run.latency) if stage is not None] or [list(run)[-1]]
    needed = {stage.name for end in last for stage in (*ancestors(end), end)}
    return TwoStage(**{place: _kept(there, needed) for place, there in vars(run).items()})


def _check_offline(stages: TwoStage) -> None:
    for stage in stages:
        for role, given in stage.inputs.items():
            if isinstance(given, Source) and given.identity.startswith(("hub:", "datasets:")):
                raise ConfigError(
                    f"runtime.offline is set, but the {role} of {stage.name} is {given.identity}: name a folder"
                )


CheckStage = Callable[[RunConfig], Sequence[Check]]
CHECKS: Mapping[str, CheckStage] = {
    "corpus": corpus.checks,
    "pretrain": pretrain.checks,
    "pretrained_initialisation": partial(initialisation.checks, start="pretrained"),
    "general_distillation": general_distillation.checks,
    "task_data": task_data.checks,
    "teacher": teacher.checks,
    "candidates": candidates.checks,
    "augmentation": augmentation.checks,
    "teacher_logits": teacher_logits.checks,
    "initialisation": partial(initialisation.checks, start="teacher"),
    "label_only": label_only.checks,
    "evaluation": evaluation.checks,
    "latency": latency.checks,
}
OF_A_CORPUS = ("corpus", "pretrain", "pretrained_initialisation", "general_distillation")


def refuse_mistakes(config: RunConfig, until: str | None = None) -> None:
    """Look for every mistake of a run that can be found without computing anything.

    Raises:
        PipelineError: the only one that was found.
        MistakesError: those that were found.
    """
    found = find_mistakes(config, until)
    if len(found) > 1:
        raise MistakesError(found)
    if found:
        raise found[0]


def find_mistakes(config: RunConfig, until: str | None = None) -> list[PipelineError]:
    """The mistakes of a run, each once, those of an earlier stage first; nothing is written."""
    mistakes: dict[str, PipelineError] = {}
    try:
        stages = {stage.name: stage for stage in two_stage(config, until)}
    except PipelineError as error:
        mistakes[str(error)] = error
        stages = None
    known = Known(config)
    checks: dict[str, CheckStage] = {
        **CHECKS,
        **{wanted.name: partial(phase.checks, wanted=wanted) for wanted in config.phases},
    }
    for name in _to_be_checked(config, stages, checks):
        for check in checks[name](config):
            try:
                check(known)
            except PipelineError as error:
                mistakes.setdefault(str(error), error)
    return list(mistakes.values())


def _to_be_checked(config: RunConfig, stages: Mapping[str, Stage[Any]] | None, checks: Iterable[str]) -> Iterator[str]:
    """Names of the stages that would run; of a run that cannot even be described, of all that it seems to ask for."""
    store = Store(config.runtime.store)
    for name in checks:
        if stages is None:
            if (config.corpus is not None) if name in OF_A_CORPUS else (config.task is not None):
                yield name
        elif name in stages and not _is_finished(stages[name], store):
            yield name


def _is_finished(stage: Stage[Any], store: Store) -> bool:
    """Whether a stage has its artifact; its inputs are read only if the store has any artifact of that name."""
    try:
        return bool(store.catalog.scan(stage.name)[0]) and store.resolver().find(stage).artifact is not None
    except (PipelineError, OSError):  # planning says so
        return False
