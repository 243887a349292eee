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
from pipeline.cost.corpus import corpus_cost, on_corpus_cost
from pipeline.cost.evaluation import evaluation_cost, latency_cost
from pipeline.cost.rehearsal import probe_disk
from pipeline.cost.scene import Scene
from pipeline.cost.task import logits_cost, teacher_cost
from pipeline.cost.task_rows import TaskRows, task_rows
from pipeline.cost.training import small, train_cost
from pipeline.store.explain import Reason
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
    scene = Scene(
        config,
        stages=by_name(stage for stage, _ in steps),
        reasons={stage.name: reason for stage, reason in steps},
        store=Store(folder / "store"),
        machine=probe_disk(folder),
        artifacts=dict(finished),
    )
    scene.store.root.mkdir()
    costs = {stage.name: StageCost(stage.name, reason.action) for stage, reason in steps}
    on_corpus = ON_CORPUS if "corpus" in scene.stages else ()
    if scene.wanted(*on_corpus):
        costs |= {cost.stage: cost for cost in _corpus_costs(scene)}
    if scene.wanted(*(name for name in scene.stages if name not in on_corpus)):
        costs |= {cost.stage: cost for cost in _task_costs(scene)}
    return RunCost(tuple(costs.values())), scene.notes


def _corpus_costs(scene: Scene) -> Iterable[StageCost]:
    """The corpus and what is learned from it."""
    lengths, rows, cost = corpus_cost(scene)
    if cost:
        yield cost
    for name in ON_CORPUS[1:]:
        if scene.wanted(name):
            yield _whole(name, scene) if name == CUT else on_corpus_cost(name, scene, lengths, rows)


def _task_costs(scene: Scene) -> Iterable[StageCost]:
    """The task's rows, and what is learned from them."""
    found, cost = task_rows(scene)
    if cost:
        yield cost
    if scene.wanted(CUT) and "corpus" not in scene.stages:
        yield _whole(CUT, scene, task_data=found.whole)
    if scene.wanted("teacher"):
        yield teacher_cost(scene, found)
    if scene.wanted("candidates", "augmentation"):
        cost = candidates_cost(scene, found)  # where they are finished, variants are drawn from those made small
        if scene.wanted("candidates"):
            yield cost
    if scene.wanted("augmentation"):
        yield augmentation_cost(scene, found)
    if scene.wanted("teacher_logits", *(phase.name for phase in scene.config.phases)):
        cost = logits_cost(scene, found)  # where it is finished, later stages read that of the rows made small
        if scene.wanted("teacher_logits"):
            yield cost
    yield from _student_costs(scene, found)


def _phase_cost(phase: PhaseConfig, scene: Scene, found: TaskRows) -> StageCost:
    """One phase of task distillation."""
    here, there, rows = found.learned_from(phase, scene.stages[phase.name].config.labels)
    return train_cost(
        phase.name,
        scene,
        small(phase.name, scene, found.there["train"], found.max_length),
        here=here,
        there=there,
        rows=rows,
        scored=phase.terms.reads_rows,
        more_seconds=found.reading_seconds("dev") if phase.terms.reads_rows else 0.0,
        task_data=found.folder,
        max_length=found.max_length,
    )


def _student_costs(scene: Scene, found: TaskRows) -> Iterable[StageCost]:
    of_task: dict[str, Any] = {"max_length": found.max_length}
    if scene.wanted("initialisation"):
        yield _whole("initialisation", scene, task_data=found.whole)
    for phase in scene.config.phases:
        if scene.wanted(phase.name):
            yield _phase_cost(phase, scene, found)
    if scene.wanted("label_only"):
        yield train_cost(
            "label_only",
            scene,
            small("label_only", scene, found.there["train"], found.max_length),
            here=found.here["train"],
            there=found.there["train"],
            rows=found.rows["train"],
            more_seconds=found.reading_seconds("train", "dev"),
            task_data=found.folder,
            **of_task,
        )
    if scene.wanted("evaluation"):
        yield evaluation_cost(scene, found)
    if scene.wanted("latency"):
        yield latency_cost(scene)
    if scene.wanted("report"):
        yield _whole("report", scene, task_data=found.whole)


def _whole(name: str, scene: Scene, **instead: Path) -> StageCost:
    """A stage that is short enough to be done for real."""
    done = scene.rehearse(name, scene.stages[name].config, **instead)
    scene.artifacts[name] = done.folder
    return StageCost(
        name,
        scene.action(name),
        seconds=done.seconds,
        disk_bytes=done.output_bytes,
        peak_bytes=done.peak_bytes,
        basis="done for real",
    )
