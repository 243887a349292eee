"""A disk that is full or must not be written: one line, nothing lost, and the next run goes on."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny_run import EVERY_STAGE, STAGES, Tiny, finished_with

from pipeline.errors import StoreError
from pipeline.store.disk import folder_bytes

WRITES = tuple(stage for stage in EVERY_STAGE if stage not in {"latency", "report"})
Mount = Callable[[Path], None]


class Disk:
    """A small file system of its own under ``root``, in memory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self._mount("-t", "tmpfs", "-o", "size=64m", "tmpfs")

    def fill(self, spare: int) -> None:
        """Leave ``spare`` bytes free, or a little less."""
        free = shutil.disk_usage(self.root).free
        with (self.root / "filler").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, free - spare))

    def clear(self) -> None:
        (self.root / "filler").unlink()

    def writable(self, *, yes: bool) -> None:
        self._mount("-o", f"remount,{'rw' if yes else 'ro'}")

    def cover(self) -> None:
        """As ``writable(yes=False)``, which is refused while somebody writes: by what lies over it."""
        self._mount("--bind", str(self.root))
        self._mount("-o", "remount,bind,ro")

    def uncover(self) -> None:
        subprocess.run(["umount", "--lazy", self.root], check=True)

    def close(self) -> None:
        self.uncover()

    def _mount(self, *options: str) -> None:
        subprocess.run(["mount", *options, self.root], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    try:
        one = Disk(tmp_path / "disk")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    yield one
    one.close()


def on(disk: Disk, folder: Path, *, until: str | None = None) -> Tiny:
    """A finished tiny run, its store on the disk; with ``until``, without that stage's artifact."""
    run = finished_with(folder, until or STAGES[0])
    if until:
        shutil.rmtree(run.path(until).parent)
    shutil.copytree(run.folder / "artifacts", disk.root / "artifacts")
    shutil.rmtree(run.folder / "artifacts")
    (run.folder / "artifacts").symlink_to(disk.root / "artifacts")
    return run


def check_full(disk: Disk, folder: Path, stage: str, share: float) -> None:
    """There is room for that share of the stage's artifact, and then there is for all."""
    needed = folder_bytes(finished_with(folder / "whole", stage).path(stage))
    run = on(disk, folder / "run", until=stage)
    disk.fill(int(share * needed))
    with pytest.raises(StoreError, match=r"no space left for the store .*artifacts.*prune.*run again"):
        run.run(until=stage)
    disk.clear()
    check_goes_on(run, stage)


def check_goes_on(run: Tiny, stage: str) -> None:
    outcomes = run.run(until=stage)
    assert {name for name, outcome in outcomes.items() if outcome.state != "reused"} == {stage}
    undisturbed = finished_with(run.folder / "undisturbed", stage)
    if stage in WRITES:
        assert run.artifact(stage).manifest.digest == undisturbed.artifact(stage).manifest.digest
    assert run.store.verify(*run.store.list()) == []
    run.store.prune(1, days=0)
    assert not [path for path in run.store.root.rglob("*") if ".draft" in path.name or ".partial" in path.name]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["corpus", "teacher"])
def test_a_full_disk_is_named_and_costs_nothing(disk: Disk, stage: str, tmp_path: Path) -> None:
    check_full(disk, tmp_path, stage, 0.3)


@pytest.mark.faults
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.95])
@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_a_disk_that_fills_up_in_any_stage(disk: Disk, stage: str, share: float, tmp_path: Path) -> None:
    check_full(disk, tmp_path, stage, share)


@pytest.mark.slow
def test_a_finished_run_can_be_read_where_nothing_can_be_written(disk: Disk, tmp_path: Path) -> None:
    run = on(disk, tmp_path / "run")
    disk.writable(yes=False)
    assert {outcome.state for outcome in run.run().values()} == {"reused"}
    assert run.store.verify(*run.store.list()) == []
    with pytest.raises(StoreError, match=r"cannot use the store .*Read-only.*make it writable"):
        run.store.tag("teacher", "best")
    with pytest.raises(StoreError, match=r"cannot use the store .*Read-only"):
        run.store.prune(0)
    disk.writable(yes=True)
    assert len(run.store.list()) == len(STAGES)


@pytest.mark.faults
@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_a_store_that_must_not_be_written_is_named_in_any_stage(disk: Disk, stage: str, tmp_path: Path) -> None:
    run = on(disk, tmp_path / "run", until=stage)
    disk.writable(yes=False)
    with pytest.raises(StoreError, match=r"cannot use the store .*artifacts: Read-only.*run again"):
        run.run(until=stage)
    disk.writable(yes=True)
    check_goes_on(run, stage)


@pytest.mark.faults
@pytest.mark.parametrize("stage", ["corpus", "general_distillation", "prediction"])
def test_a_store_that_becomes_read_only_in_mid_stage(
    disk: Disk, stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = on(disk, tmp_path / "run", until=stage)
    signs = iter(range(3))

    def update(*_: object, **__: object) -> None:
        if next(signs, None) == 2:
            disk.cover()

    monkeypatch.setattr(run.notes, "update", update)
    with pytest.raises(StoreError, match=r"cannot use the store .*Read-only"):
        run.run(until=stage)
    monkeypatch.undo()
    disk.uncover()
    check_goes_on(run, stage)
