from pathlib import Path

import pytest
from tiny_run import Tiny, tiny


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """A finished tiny run whose folder we are in."""
    folder = tmp_path / "own"
    monkeypatch.chdir(tmp_path)
    folder.mkdir()
    monkeypatch.chdir(folder)
    return tiny(folder, finished=True)
