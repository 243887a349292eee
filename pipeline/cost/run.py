"""What a run will cost: its stages are played in order on a few rows, and each said of all its rows.

What is finished costs nothing and is used as it is; what is not is rehearsed on rows drawn at random.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.config.distillation import PhaseConfig
from pipeline.config.run import RunConfig
from pipeline.cost.arithmetic import RunCost, StageCost
from pipeline.cost.augmentation import augmentation_cost, candidates_cost
from pipeline.cost.context import RehearsalContext
from pipeline.cost.corpus import corpus_cost, on_corpus_cost
from pipeline.cost.evaluation import evaluation_cost, latency_cost
from pipeline.cost.rehearsal import probe_disk
from pipeline.cost.task import logits_cost, teacher_cost
from pipeline.cost.task_rows import TaskRows, load_task_rows
from pipeline.cost.training import small, train_cost
from pipeline.store.materialize import Reason
from pipeline.store.stage import Stage, by_name
from pipeline.store.store import Store

CUT = "pretrained_initialisation"
ON_CORPUS = ("corpus", "pretrain", CUT, "general_distillation")


def run_cost(
    config: RunConfig, steps: Iterable[tuple[Stage[Any], Reason]], finished: Mapping[str, Path], folder: Path
) -> tuple[RunCost, list[str]]:
    """Rehearse what a run would do, and say what it would cost.

    Args:
        config: of the run.
        steps: its stages with what would happen to each, as ``plan`` says.
        finished: folders of the artifacts that are there, by stage.
        folder: an empty one, for the rehearsal.

    Returns:
        The cost, without that of starting a process; and notes for whoever reads it.

    Raises:
        PipelineError: whatever the run itself would say of its configuration, data and models.
    """
    steps = list(steps)
    context = RehearsalContext(
        config,
        stages=by_name(stage for stage, _ in steps),
        reasons={stage.name: reason for stage, reason in steps},
        store=Store(folder / "store"),
        machine=probe_disk(folder),
        artifacts=dict(finished),
    )
    context.store.root.mkdir()
    costs = {stage.name: StageCost(stage.name, reason.action) for stage, reason in steps}
    on_corpus = ON_CORPUS if "corpus" in context.stages else ()
    if context.will_run(*on_corpus):
        costs |= {cost.stage: cost for cost in _corpus_costs(context)}
    if context.will_run(*(name for name in context.stages if name not in on_corpus)):
        costs |= {cost.stage: cost for cost in _task_costs(context)}
    return RunCost(tuple(costs.values())), context.notes


def _corpus_costs(context: RehearsalContext) -> Iterable[StageCost]:
    """The corpus and what is learned from it."""
    lengths, rows, cost = corpus_cost(context)
    if cost:
        yield cost
    for name in ON_CORPUS[1:]:
        if context.will_run(name):
            yield _whole(name, context) if name == CUT else on_corpus_cost(name, context, lengths, rows)


def _task_costs(context: RehearsalContext) -> Iterable[StageCost]:
    """The task's rows, and what is learned from them."""
    task_rows, cost = load_task_rows(context)
    if cost:
        yield cost
    if context.will_run(CUT) and "corpus" not in context.stages:
        yield _whole(CUT, context, task_data=task_rows.whole)
    if context.will_run("teacher"):
        yield teacher_cost(context, task_rows)
    if context.will_run("candidates", "augmentation"):
        cost = candidates_cost(context, task_rows)  # where they are finished, variants are drawn from shrunk ones
        if context.will_run("candidates"):
            yield cost
    if context.will_run("augmentation"):
        yield augmentation_cost(context, task_rows)
    if context.will_run("teacher_logits", *(phase.name for phase in context.config.phases)):
        cost = logits_cost(context, task_rows)  # where it is finished, later stages read the shrunk one
        if context.will_run("teacher_logits"):
            yield cost
    yield from _student_costs(context, task_rows)


def _phase_cost(phase: PhaseConfig, context: RehearsalContext, task_rows: TaskRows) -> StageCost:
    """One phase of task distillation."""
    here, there, rows = task_rows.learned_from(phase, context.stages[phase.name].config.labels)
    return train_cost(
        phase.name,
        context,
        small(phase.name, context, task_rows.there["train"], task_rows.max_length),
        here=here,
        there=there,
        rows=rows,
        scored=phase.terms.reads_rows,
        more_seconds=task_rows.reading_seconds("dev") if phase.terms.reads_rows else 0.0,
        task_data=task_rows.folder,
        max_length=task_rows.max_length,
    )


def _student_costs(context: RehearsalContext, task_rows: TaskRows) -> Iterable[StageCost]:
    of_task: dict[str, Any] = {"max_length": task_rows.max_length}
    if context.will_run("initialisation"):
        yield _whole("initialisation", context, task_data=task_rows.whole)
    for phase in context.config.phases:
        if context.will_run(phase.name):
            yield _phase_cost(phase, context, task_rows)
    if context.will_run("label_only"):
        yield train_cost(
            "label_only",
            context,
            small("label_only", context, task_rows.there["train"], task_rows.max_length),
            here=task_rows.here["train"],
            there=task_rows.there["train"],
            rows=task_rows.rows["train"],
            more_seconds=task_rows.reading_seconds("train", "dev"),
            task_data=task_rows.folder,
            **of_task,
        )
    if context.will_run("evaluation"):
        yield evaluation_cost(context, task_rows)
    if context.will_run("latency"):
        yield latency_cost(context)
    if context.will_run("report"):
        yield _whole("report", context, task_data=task_rows.whole)


def _whole(name: str, context: RehearsalContext, **instead: Path) -> StageCost:
    """A stage that is short enough to be done for real."""
    done = context.rehearse(name, context.stages[name].config, **instead)
    context.artifacts[name] = done.folder
    return StageCost(
        name,
        context.action(name),
        seconds=done.seconds,
        disk_bytes=done.output_bytes,
        peak_bytes=done.peak_bytes,
        basis="done for real",
    )
