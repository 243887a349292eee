"""A file in a store may be read by whom the umask allows it, whatever library wrote it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pipeline.store.stage import StageRun
from pipeline.training.checkpoint import save_checkpoint
from tests.store.conftest import House, Settings


@pytest.fixture(params=[0o022, 0o027, 0o077], ids=lambda mask: f"{mask:03o}")
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}


def write(_config: Settings, run: StageRun) -> None:
    folder = run.output / "model"
    folder.mkdir()
    save_file({"weight": torch.ones(2)}, folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    (run.output / "open.txt").write_text("too open")
    (run.output / "open.txt").chmod(0o666)


def test_every_file_of_an_artifact_has_the_permissions_of_the_umask(umask: int, tmp_path: Path) -> None:
    house = House(tmp_path / "store")
    artifact = house.run(house.stage("model", run=write)).artifact
    found = modes(artifact.path)
    assert set(found) == {"model.safetensors", "config.json", "open.txt", "manifest.json"}
    assert set(found.values()) == {0o666 & ~umask}
    assert set(modes(tmp_path / "store").values()) == {0o666 & ~umask}
    assert {p.stat().st_mode & 0o777 for p in artifact.path.rglob("*") if p.is_dir()} == {0o777 & ~umask}


def test_checkpoints_too(umask: int, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    save_checkpoint(folder, 3, dict(nn.Linear(2, 2).state_dict()), {})
    assert set(modes(folder).values()) == {0o666 & ~umask}
