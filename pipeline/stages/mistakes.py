"""Every mistake of a run that shows before anything is computed: each stage brings its checks, here they are asked.

Stages that are finished are not checked: nothing of them is read again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from pipeline.config.run import RunConfig
from pipeline.errors import MistakesError, PipelineError
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
    task_data,
    teacher,
    teacher_logits,
)
from pipeline.stages.checks import Check
from pipeline.stages.known import Known
from pipeline.stages.two_stage import two_stage
from pipeline.store.stage import Stage
from pipeline.store.store import Store

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
