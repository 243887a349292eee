"""kill -9, a word to stop or no memory at random moments of every stage: the next run ends as if nothing had been."""

import shutil
import signal
from pathlib import Path

import pytest
from faulty import How, Killer, drawn
from tiny_run import EVERY_STAGE, Tiny, finished_with

MEASURED = {"latency": {"report"}, "report": set[str]()}  # a time is never the same twice: who reads it runs again


def without(folder: Path, stage: str) -> Tiny:
    """A finished run that lacks one stage's artifact, and has nothing of its work."""
    run = finished_with(folder, stage)
    shutil.rmtree(run.path(stage).parent)
    return run


def check_survival(killer: Killer, folder: Path, stage: str, moment: int, how: How = "kill") -> None:
    """Ended at the moment and run again, the stage alone is built, and comes out the same."""
    run = without(folder, stage)
    death = killer.build(folder, stage, moment, how)
    assert death.signal == (signal.SIGKILL if how == "kill" else 0)
    assert how == "kill" or death.moments >= moment
    outcomes = run.run()
    again = {name for name, outcome in outcomes.items() if outcome.state != "reused"}
    # A kill right after the commit leaves a finished artifact.
    assert again <= {stage} | MEASURED.get(stage, set()), f"ended at moment {moment}"
    expected = finished_with(folder / "undisturbed", stage)
    for name in set(run.names) - set(MEASURED):
        assert run.artifact(name).manifest.digest == expected.artifact(name).manifest.digest
    assert run.versions()[stage] == [1]
    assert run.store.verify(*run.store.list()) == []
    check_clean(run)


def check_clean(run: Tiny) -> None:
    """Nothing is left that blocks or that pruning would not clear away, and pruning takes nothing else."""
    before = run.versions()
    run.store.prune(3, days=0)
    assert run.versions() == before
    store = run.store.layout
    assert not [path for path in store.root.rglob("*") if ".draft" in path.name or ".partial" in path.name]
    assert not [
        path for shelf in (store.works, store.trash, store.quarantine) if shelf.exists() for path in shelf.iterdir()
    ]


def moments(killer: Killer, folder: Path, stage: str) -> int:
    without(folder, stage)
    return killer.build(folder, stage).moments


@pytest.mark.slow
@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_a_kill_at_a_random_moment(killer: Killer, stage: str, tmp_path: Path) -> None:
    lived = moments(killer, tmp_path / "whole", stage)
    (moment,) = drawn(f"one of {stage}", lived, 1)
    check_survival(killer, tmp_path / "killed", stage, moment)


@pytest.mark.faults
@pytest.mark.parametrize(("how", "times"), [("kill", 10), ("stop", 3), ("memory", 3)])
@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_an_end_at_random_moments(killer: Killer, stage: str, how: How, times: int, tmp_path: Path) -> None:
    lived = moments(killer, tmp_path / "whole", stage)
    for moment in drawn(f"{how} {stage}", lived, times):
        check_survival(killer, tmp_path / f"ended-{moment}", stage, moment, how)


@pytest.mark.faults
@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_a_run_killed_again_and_again_gets_there(killer: Killer, stage: str, tmp_path: Path) -> None:
    """Each attempt lives ten moments longer than the last; each goes on from what the others left."""
    run = without(tmp_path, stage)
    moment = 3
    while killer.build(tmp_path, stage, moment).signal:
        moment += 10
    expected = finished_with(tmp_path / "undisturbed", stage)
    if stage not in MEASURED:
        assert run.artifact(stage).manifest.digest == expected.artifact(stage).manifest.digest
    check_clean(run)
