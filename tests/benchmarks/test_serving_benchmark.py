"""The load test runs, and what it counts adds up."""

import re
import runpy
import sys
from pathlib import Path

import pytest
from tiny_run import sentences, tiny

from pipeline.config.export import ExportConfig
from pipeline.config.runtime import Runtime
from pipeline.stages.export import export_of
from pipeline.store.materialize import materialize

FOLDER = Path(__file__).parents[2] / "benchmarks" / "serving"


def test_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run = tiny(tmp_path, finished=True)
    (stage,) = export_of(run.store, run.store.open("teacher"), ExportConfig())
    bundle = materialize(stage, run.store, Runtime()).artifact.path
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(text for text, _ in sentences(24, 2)), encoding="utf-8")
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parents[1]))
    monkeypatch.setattr(sys, "argv", ["load.py", str(bundle), str(texts), "--quick"])
    runpy.run_path(str(FOLDER / "load.py"), run_name="__main__")
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert len(lines) == 10
    assert all(float(found) > 0 for found in re.findall(r"(\d+) answers/s", out))
    assert "lost" not in out
    sys.modules.pop("client", None)
