"""Stage ``comparison``: runs with several seeds side by side, each judged on the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.config.base import Config
from pipeline.config.run import RunConfig
from pipeline.errors import ConfigError
from pipeline.stages.graph import TwoStage, two_stage
from pipeline.stages.task_data import task_data
from pipeline.store.entry import entry
from pipeline.store.stage import Stage
from pipeline.store.store import Store

NAME = "comparison"


class ComparisonStage(Config):
    """What a comparison depends on beside the evaluations of its runs.

    Attributes:
        variants: names of the runs, the one that the others are compared with first.
        students: names of the students of each run.
        seeds: seed of the students of each repetition, the same for all runs.
        resamples: draws of each interval and p.
    """

    variants: tuple[str, ...]
    students: tuple[tuple[str, ...], ...]
    seeds: tuple[int, ...]
    resamples: int
    seed: int


@dataclass(frozen=True)
class Comparison:
    """Several runs with several seeds, and the stage that puts them side by side.

    Attributes:
        runs: configuration of each run, and the last stage of it that is needed; None for all.
        stage: the table.
        alike: runs that are left out since they are the first one under another name.
    """

    runs: tuple[tuple[RunConfig, str | None], ...]
    stage: Stage[ComparisonStage]
    alike: tuple[str, ...]


def comparison(variants: Mapping[str, Sequence[RunConfig]], resamples: int, store: Store) -> Comparison:
    """Put runs side by side.

    Args:
        variants: name -> configuration by seed; the others are compared with the first.
        resamples: draws of each interval and p.
        store: tells which stages are the same.

    Raises:
        ConfigError: a run has no task, the tasks differ, or all runs are the same.
    """
    resolver = store.resolver()
    graphs = {name: [two_stage(config) for config in configs] for name, configs in variants.items()}
    for name, of_run in graphs.items():
        if of_run[0].evaluation is None:
            raise ConfigError(f"{name} has no task, so there is nothing to judge its students by: set task")
    tasks = {name: resolver.fingerprint(_rows(configs[0])) for name, configs in variants.items()}
    first = next(iter(graphs))
    for name, task in tasks.items():
        if task != tasks[first]:
            raise ConfigError(f"{name} draws other rows than {first}: compare runs of one task, alike in seed and task")
    made = {name: resolver.fingerprint(_there(of_run[0].evaluation)) for name, of_run in graphs.items()}
    alike = tuple(name for name in graphs if name != first and made[name] == made[first])
    graphs = {name: of_run for name, of_run in graphs.items() if name not in alike}
    configs = {name: variants[name] for name in graphs}
    if alike and len(graphs) == 1:
        raise ConfigError(f"{', '.join(alike)} and {first} are the same run: there is nothing to compare")
    settings = ComparisonStage(
        variants=tuple(graphs),
        students=tuple(tuple(student.name for student in of_run[0].students) for of_run in configs.values()),
        seeds=tuple(config.seed_of_students for config in configs[first]),
        resamples=resamples,
        seed=configs[first][0].seed,
    )
    inputs: dict[str, Any] = {"task_data": graphs[first][0].task_data}
    for place, of_run in enumerate(graphs.values()):
        inputs |= {f"evaluation_{place}_{number}": graph.evaluation for number, graph in enumerate(of_run)}
        inputs |= {f"work_{place}_{number}": stage for number, stage in enumerate(_training(of_run[0]))}
        inputs[f"latency_{place}"] = of_run[0].latency
    runs = [
        (config, None if number == 0 else "evaluation")
        for of_run in configs.values()
        for number, config in enumerate(of_run)
    ]
    stage = Stage(NAME, 1, settings, inputs, entry("pipeline.engine.compared_runs"))
    return Comparison(tuple(runs), stage, alike)


def _rows(config: RunConfig) -> Stage[Any]:
    """The rows of a run, however long their sequences may be."""
    assert config.task is not None, "asked of a run with a task"  # noqa: S101
    return task_data(config.model_copy(update={"task": config.task.model_copy(update={"max_length": None})}))


def _training(run: TwoStage) -> list[Stage[Any]]:
    """The stages that train a run's students."""
    stages = (run.cut_on_corpus, run.cut_on_task, run.general_distillation, run.initialisation, *run.phases)
    return [stage for stage in stages if stage is not None]


def _there(stage: Stage[Any] | None) -> Stage[Any]:
    assert stage is not None, "a run with a task has it"  # noqa: S101
    return stage
