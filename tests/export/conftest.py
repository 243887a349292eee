"""A finished tiny run with a teacher and a student exported, made once; each test has a copy of its own."""

import shutil
from pathlib import Path

import pytest
from exported import export_one
from tiny_run import Tiny, tiny

from pipeline.export.bundle import OpenBundle, open_bundle


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    run = tiny(folder, finished=True)
    export_one(run, "prediction", "distilled")
    export_one(run, "teacher")
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """export/v1 is the student, export/v2 the teacher, which has learned its task."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Tiny(tmp_path)


@pytest.fixture
def bundle(run: Tiny) -> OpenBundle:
    """The teacher's."""
    return open_bundle(run.store.open("export/v2").path)
