"""A killed run goes on by whatever way its store is named, and whatever the clock says by then."""

import os
import shutil
import time
from contextlib import chdir
from pathlib import Path

import pytest
from killed_run import killed
from tiny_run import Notes, Tiny, tiny

from pipeline.stages.graph import two_stage
from pipeline.store.leases import leased, leasing
from pipeline.store.materialize import materialize
from pipeline.store.prune import leftovers
from pipeline.store.store import Store

DAY = 86_400
HALF = ("corpus", "general_distillation")


def absolute(run: Tiny) -> tuple[str, ...]:
    """The run's files, named so that they are found from anywhere."""
    at = run.folder.absolute()
    return (
        f"corpus.paths=[{at}/corpus.txt]",
        f"teacher.model={at}/teacher",
        f"task.train={at}/train.csv",
        f"task.dev={at}/dev.csv",
        f"task.unlabelled=[{at}/extra.txt]",
    )


def shift(folder: Path, seconds: float) -> None:
    """Make everything in a folder so much younger: to it the clock has been set back."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            then = path.stat().st_mtime + seconds
            os.utime(path, (then, then))


def resumed(run: Tiny, store: str, folder: Path) -> list[str]:
    """How each stage up to general distillation came to be, from a folder, with its store named so."""
    config = run.config(*absolute(run), f"runtime.store={store}")
    with chdir(folder):
        return [
            materialize(stage, Store(config.runtime.store), config.runtime, run.notes).state
            for stage in two_stage(config, "general_distillation")
        ]


@pytest.fixture(scope="module")
def dead(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that died in general distillation; made once, half a minute on a slow machine."""
    run = tiny(tmp_path_factory.mktemp("dead"))
    killed(run, [("general_distillation", 4)])
    return run.folder


@pytest.fixture
def interrupted(dead: Path, tmp_path: Path) -> tuple[Tiny, Tiny]:
    """A run that was never disturbed, and one that died in general distillation."""
    shutil.copytree(dead, tmp_path / "killed")
    return tiny(tmp_path / "undisturbed", finished=True), Tiny(tmp_path / "killed")


@pytest.mark.parametrize("way", ["relative", "link to the store", "link to its parent"])
def test_a_killed_training_goes_on_by_another_way_to_its_store(
    way: str, interrupted: tuple[Tiny, Tiny], tmp_path: Path
) -> None:
    undisturbed, run = interrupted
    elsewhere = tmp_path / "else" / "where"
    elsewhere.mkdir(parents=True)
    (elsewhere / "store").symlink_to(run.folder / "artifacts")
    (elsewhere / "parent").symlink_to(run.folder)
    named = {
        "relative": os.path.relpath(run.folder / "artifacts", elsewhere),
        "link to the store": "store",
        "link to its parent": "parent/artifacts",
    }[way]
    assert resumed(run, named, elsewhere) == ["reused", "resumed"]
    assert any(line.startswith("resumed at step 3 of") for line in run.notes.lines)
    assert run.versions() == {stage: [1] for stage in HALF}
    for stage in HALF:
        assert run.artifact(stage).manifest.digest == undisturbed.artifact(stage).manifest.digest
    assert resumed(run, "artifacts", run.folder) == ["reused", "reused"]


@pytest.mark.parametrize("days", [1, -1], ids=["set back", "set forward"])
def test_a_clock_that_jumps_by_a_day_changes_nothing(days: int, interrupted: tuple[Tiny, Tiny]) -> None:
    undisturbed, run = interrupted
    shift(run.folder, days * DAY)
    assert resumed(run, "artifacts", run.folder) == ["reused", "resumed"]
    assert any(line.startswith("resumed at step 3 of") for line in run.notes.lines)
    shift(run.folder, days * DAY)
    run.notes = Notes()
    assert resumed(run, "artifacts", run.folder) == ["reused", "reused"]
    assert run.versions() == {stage: [1] for stage in HALF}
    for stage in HALF:
        assert run.artifact(stage).manifest.digest == undisturbed.artifact(stage).manifest.digest


def test_a_file_edited_after_the_clock_was_set_back_is_read_again(tmp_path: Path) -> None:
    """Of equal size, and older by its date than the one it replaces."""
    run = tiny(tmp_path)
    corpus = run.folder / "corpus.txt"
    run.run(until="corpus")
    text = corpus.read_text()
    corpus.write_text(text.replace("otter", "heron"))
    then = time.time() - DAY
    os.utime(corpus, (then, then))
    assert run.plan()["corpus"].action == "run"
    corpus.write_text(text)
    assert run.plan()["corpus"].action == "reuse"


def test_a_clock_set_back_keeps_abandoned_work_longer_and_no_lock(interrupted: tuple[Tiny, Tiny]) -> None:
    _, run = interrupted
    layout = run.store.layout
    shift(layout.root, DAY)  # young work, by a date that is to come
    with leasing(layout):
        assert leased(layout) == []
    assert list(leftovers(layout, days=7)) == []
    shift(layout.root, -7 * DAY)
    assert list(leftovers(layout, days=7)) == []
    shift(layout.root, -2 * DAY)
    assert [each.path.parent for each in leftovers(layout, days=7)] == [layout.works]
