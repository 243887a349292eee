"""kill -9 in the middle of pruning: what is left is a sound store, and the next pruning finishes the work."""

import signal
from pathlib import Path

import pytest
from faulty import Killer, drawn
from tiny_run import STAGES, Tiny, tiny

REST = {"general_distillation", "task_data", "corpus"}


def two_of_some(folder: Path) -> Tiny:
    """A finished run with a tag on a stage in the middle, so that some of it may go."""
    run = tiny(folder, finished=True)
    run.store.tag("general_distillation", "mine")
    run.store.tag("task_data", "rows")
    return run


def check_sound(run: Tiny) -> None:
    """What is there is whole, and has all it was made from."""
    store = run.store
    left = {artifact.ref: artifact for artifact in store.list()}
    assert store.damaged() == []
    assert store.verify(*left.values()) == []
    for artifact in left.values():
        assert {record.ref for record in artifact.manifest.inputs.values() if record.ref} <= set(left)


@pytest.mark.slow
@pytest.mark.parametrize("kills", [4, pytest.param(30, marks=pytest.mark.faults)])
def test_a_pruning_that_is_killed_leaves_a_sound_store(killer: Killer, kills: int, tmp_path: Path) -> None:
    two_of_some(tmp_path / "whole")
    lived = killer.prune(tmp_path / "whole", 0).moments
    for moment in drawn(f"{kills} prunings", lived, kills):
        run = two_of_some(tmp_path / str(moment))
        assert killer.prune(run.folder, 0, moment).signal == signal.SIGKILL
        check_sound(run)
        assert killer.prune(run.folder, 0).signal == 0
        check_sound(run)
        assert set(run.versions()) == REST
        assert list(run.store.layout.trash.iterdir()) == []


@pytest.mark.slow
def test_what_was_pruned_is_built_again_and_the_same(killer: Killer, tmp_path: Path) -> None:
    run, undisturbed = two_of_some(tmp_path / "run"), tiny(tmp_path / "undisturbed", finished=True)
    killer.prune(run.folder, 0)
    outcomes = run.run(until="teacher_logits")
    assert [name for name, one in outcomes.items() if one.state == "reused"] == ["task_data"]
    for stage in outcomes:
        assert run.artifact(stage).manifest.digest == undisturbed.artifact(stage).manifest.digest
    assert set(outcomes) < set(STAGES)
