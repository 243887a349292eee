"""A stage's share of the cost plan is a module that the stage names; without one it is rehearsed whole."""

import inspect
from contextlib import chdir
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tiny_run import PRETRAINED, TREE, Tiny, tiny, write_tree

from flows.plan import Steps, plan_run
from pipeline.config.base import Config
from pipeline.cost.arithmetic import StageCost
from pipeline.cost.context import RehearsalContext
from pipeline.cost.run import run_cost
from pipeline.store.explain import Reason
from pipeline.store.stage import Stage, StageRun
from pipeline.store.store import Store

MINUTE = 60.0


def costs(run: Tiny, tmp_path: Path, steps: Steps, *overrides: str) -> dict[str, StageCost]:
    folder = tmp_path / "rehearsal"
    folder.mkdir()
    with chdir(run.folder):
        finished = {stage.name: run.store.get(stage).path for stage, reason in steps if reason.action == "reuse"}
        found, _ = run_cost(run.config(*overrides), steps, finished, folder)
    return {cost.stage: cost for cost in found.stages}


def planned(run: Tiny, *overrides: str, until: str | None = None) -> Steps:
    with chdir(run.folder):
        return plan_run(run.config(*overrides), until)


@pytest.mark.parametrize("finetune", ["{}", "null"])
@pytest.mark.parametrize("tree", [TREE, PRETRAINED], ids=["teacher", "pretrained"])
def test_every_share_that_a_stage_names_is_there(tmp_path: Path, tree: dict[str, Any], finetune: str) -> None:
    run = tiny(tmp_path)
    write_tree(run.folder, tree)
    named = {stage.name: stage.cost for stage in run.stages(f"teacher.finetune={finetune}") if stage.cost}
    assert {"corpus", "general_distillation", "teacher", "candidates", "teacher_logits", "prediction"} <= set(named)
    for module in named.values():
        assert [*inspect.signature(import_module(module).share).parameters] == ["context", "stage"], module


def count(_config: Config, run: StageRun) -> None:
    """A stage's work: the sequences of the corpus it is given, as a file."""
    files = sorted(path.name for path in (run.artifact("corpus") / "tokens").iterdir())
    (run.output / "files.txt").write_text("\n".join(files))


def share(context: RehearsalContext, stage: Stage[Any]) -> StageCost:
    """This file is a share too."""
    return context.cost(stage, context.rehearse(stage), "a minute", seconds=MINUTE)


def test_a_stage_without_a_share_is_rehearsed_whole_and_one_with_a_share_by_it(tmp_path: Path) -> None:
    run = tiny(tmp_path / "run")
    steps = planned(run, until="corpus")
    ((corpus, _),) = steps
    without = Stage("counted", 1, Config(), {"corpus": corpus}, count)
    steps += [(stage, Reason("run")) for stage in (without, replace(without, name="shared", cost=__name__))]
    found = costs(run, tmp_path, steps)
    assert [*found] == ["corpus", "counted", "shared"]
    assert found["counted"].basis == "done for real"
    assert 0 < found["counted"].seconds < MINUTE
    assert (found["shared"].seconds, found["shared"].basis) == (MINUTE, "a minute")
    assert found["counted"].disk_bytes == found["shared"].disk_bytes > 0


def test_the_share_of_a_stage_is_no_part_of_its_identity(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    stage = run.stages(until="task_data").task_data
    assert stage is not None
    with chdir(run.folder):
        assert run.store.fingerprint(stage) == run.store.fingerprint(replace(stage, cost="pipeline.cost.training"))


@pytest.mark.parametrize(
    ("overrides", "reader", "role", "finished"),
    [
        (("phases.prediction.training.epochs=2",), "prediction", "rows", "teacher_logits"),
        (("augmentation.seed=3", "evaluation.label_only=null"), "augmentation", "candidates", "candidates"),
    ],
)
def test_what_reads_a_finished_table_of_rows_is_rehearsed_on_one_of_a_few_rows(
    tmp_path: Path, overrides: tuple[str, ...], reader: str, role: str, finished: str
) -> None:
    """The finished one is of all rows, and would not fit the few that the rehearsal has."""
    run = tiny(tmp_path / "run", finished=True)
    found = costs(run, tmp_path, planned(run, *overrides), *overrides)
    assert found[reader].seconds > 0
    for name in ("task_data", "teacher", finished):
        assert found[name] == StageCost(name, "reuse")
    rehearsed = Store(tmp_path / "rehearsal" / "store")
    assert rehearsed.open(reader).manifest.inputs[role].paths == [str(rehearsed.open(finished).path)]


@pytest.mark.parametrize("until", ["candidates", "teacher"])
def test_a_part_of_a_run_is_estimated_too(tmp_path: Path, until: str) -> None:
    """Candidates alone, without the stages that read them; a teacher of the best of two seeds."""
    run, overrides = tiny(tmp_path / "run"), ("teacher.restarts=2", "teacher.finetune.epochs=1")
    found = costs(run, tmp_path, planned(run, *overrides, until=until), *overrides)
    assert [*found] == ["task_data", until]
    assert all(cost.seconds > 0 for cost in found.values())
