"""Damage to any artifact of a finished run: the command line finds it, the next run rebuilds it and nothing more."""

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from tiny_run import EVERY_STAGE, Tiny, finished_with, tiny

from flows.cli import main
from pipeline.errors import StoreError
from pipeline.store.layout import MANIFEST

MEASURED = ("latency", "report")


def some_file(run: Tiny, stage: str) -> Path:
    """A file of the artifact at random, the same each time; not an empty one, which has no bits."""
    artifact = run.artifact(stage)
    names = [name for name, record in artifact.manifest.files.items() if record.size]
    return artifact.path / Random(stage).choice(names)


def flip(run: Tiny, stage: str) -> None:
    path = some_file(run, stage)
    content = bytearray(path.read_bytes())
    content[Random(stage).randrange(len(content))] ^= 1 << Random(stage).randrange(8)
    path.write_bytes(content)


def lose(run: Tiny, stage: str) -> None:
    some_file(run, stage).unlink()


def edit(run: Tiny, stage: str) -> None:
    path = run.path(stage) / MANIFEST
    path.write_text(path.read_text().replace('"code_version": ', '"code_version": 1'))


DAMAGE: dict[str, Callable[[Tiny, str], None]] = {"bit": flip, "file": lose, "manifest": edit}


def check_found_and_mended(
    run: Tiny, stage: str, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ref, digest = run.artifact(stage).ref, run.artifact(stage).manifest.digest
    DAMAGE[kind](run, stage)
    monkeypatch.chdir(run.folder)
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(["artifacts", "verify"])
    assert left.value.code == StoreError.exit_code
    problem, error = capsys.readouterr().err.splitlines()
    assert ref in problem
    assert "1 damaged" in error
    outcomes = run.run()
    again = [name for name, one in outcomes.items() if one.state != "reused"]
    assert again == [stage, *(["report"] if stage == "latency" else [])]
    assert len([*run.store.layout.quarantine.iterdir()]) == 1
    if stage not in MEASURED:
        assert run.artifact(stage).manifest.digest == digest
    with pytest.raises(SystemExit) as left:
        main(["artifacts", "verify"])
    assert not left.value.code


@pytest.mark.parametrize(("stage", "kind"), [("corpus", "bit"), ("task_data", "file"), ("augmentation", "manifest")])
def test_damage_is_found_and_mended(
    stage: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check_found_and_mended(finished_with(tmp_path, stage), stage, kind, monkeypatch, capsys)


@pytest.mark.faults
@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_damage_of_any_kind_to_any_stage_is_found_and_mended(
    stage: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check_found_and_mended(finished_with(tmp_path, stage), stage, kind, monkeypatch, capsys)


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_passed_over(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one before it serves, and the result is the same."""
    run, undisturbed = tiny(tmp_path / "run", finished=True), tiny(tmp_path / "undisturbed", finished=True)
    shutil.rmtree(run.path("general_distillation").parent)
    signs = iter(range(5))

    def update(*_: object, **__: object) -> None:
        if next(signs, None) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(run.notes, "update", update)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    monkeypatch.undo()
    saved = sorted(run.store.layout.works.glob("*/scratch/training/step-*"))
    assert len(saved) == 2
    broken = saved[-1] / name
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    run.run()
    assert any(line.startswith(f"resumed at step {int(saved[0].name[5:])} of") for line in run.notes.lines)
    digests = [one.artifact("general_distillation").manifest.digest for one in (run, undisturbed)]
    assert digests[0] == digests[1]
