"""The recipe as a graph of stages: described in full before anything runs, without loading torch."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.config.run import RunConfig
from pipeline.errors import ConfigError
from pipeline.stages.augmentation import augmentation
from pipeline.stages.candidates import candidates
from pipeline.stages.corpus import corpus
from pipeline.stages.evaluation import evaluation
from pipeline.stages.general_distillation import general_distillation
from pipeline.stages.initialisation import initialisation, pretrained_initialisation
from pipeline.stages.label_only import label_only
from pipeline.stages.latency import latency
from pipeline.stages.phase import phase
from pipeline.stages.pretrain import pretrain
from pipeline.stages.report import report
from pipeline.stages.task_data import task_data
from pipeline.stages.teacher import teacher
from pipeline.stages.teacher_logits import teacher_logits
from pipeline.store.source import Source
from pipeline.store.stage import Stage, ancestors, by_name

AnyStage = Stage[Any]


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
    made: dict[str, Any] = {}
    starts = {student.start for student in config.students}
    text = made["corpus"] = corpus(config) if config.corpus else None
    data = made["task_data"] = task_data(config) if config.task else None
    mlm = made["pretrain"] = pretrain(config, text) if config.pretrain and text else None
    cut = pretrained_initialisation(config, mlm, text, data) if "pretrained" in starts and (text or data) else None
    made["cut_on_corpus" if text else "cut_on_task"] = cut
    general = made["general_distillation"] = (
        general_distillation(config, text, mlm, cut)
        if text and config.general_distillation and any(student.learns_general for student in config.students)
        else None
    )
    if data is None:
        return TwoStage(**made)
    tuned = made["teacher"] = teacher(config, data, mlm)
    words = made["candidates"] = candidates(config, data, mlm) if config.augmentation else None
    variants = made["augmentation"] = augmentation(config, data, words) if words else None
    logits = made["teacher_logits"] = teacher_logits(config, data, tuned, variants)
    own = made["initialisation"] = initialisation(config, tuned, data) if "teacher" in starts else None
    begun = {"general": general, "initialisation": own, "pretrained_initialisation": cut}
    final: AnyStage | None = None
    made["phases"] = ()
    for wanted in config.phases:
        final = phase(config, wanted, tuned, logits, data, final, **begun)
        made["phases"] += (final,)
    assert final is not None  # noqa: S101 - a configuration has a phase
    yardstick = made["label_only"] = label_only(config, data, mlm) if config.evaluation.label_only else None
    made["evaluation"] = evaluation(config, data, tuned, final, yardstick)
    made["latency"] = latency(config, tuned, final, yardstick)
    made["report"] = report(config, list(TwoStage(**made)))
    return TwoStage(**made)


def _check_offline(stages: TwoStage) -> None:
    for stage in stages:
        for role, given in stage.inputs.items():
            if isinstance(given, Source) and given.identity.startswith(("hub:", "datasets:")):
                raise ConfigError(
                    f"runtime.offline is set, but the {role} of {stage.name} is {given.identity}: name a folder"
                )
