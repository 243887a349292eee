"""The count of what there is to read finds circles and late imports, and follows a training step."""

import ast
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "structure.py"
COUNT: dict[str, Any] = runpy.run_path(str(SCRIPT))


def test_only_what_is_in_a_circle_is_called_so() -> None:
    sources = {
        "top": "from one import x",
        "one": "import two",
        "two": "def f():\n    from one import y",
        "low": "import ast",
    }
    modules = {name: ast.parse(text) for name, text in (sources | {"two": sources["two"] + "\nimport low"}).items()}
    assert COUNT["in_circles"](modules) == ["one", "two"]
    assert COUNT["late_imports"](modules["two"]) == 1
    assert COUNT["late_imports"](modules["one"]) == 0
    assert COUNT["longest_function"](modules) == (2, "two.f")


@pytest.mark.slow
def test_it_follows_a_training_step(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["structure.py", "--repeats", "0"])
    COUNT["main"]()
    out = capsys.readouterr().out
    assert "files in circles of imports: 0 \n" in out
    stack = re.search(r"from materialize to a term: 9 files\n((?:  \S+\n)+)", out)
    assert stack is not None
    assert stack[1].split()[:3] == [
        "pipeline/store/materialize.py",
        "pipeline/store/entry.py",
        "pipeline/engine/phase.py",
    ]
    assert stack[1].split()[-1] == "pipeline/distillation/terms/hidden.py"
    ran = re.search(r"that a training step runs: (\d+) files\n", out)
    assert ran is not None
    assert 15 < int(ran[1]) < 40
