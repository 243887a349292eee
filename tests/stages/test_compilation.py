"""Whether models are compiled: never by default on a CPU, and only with what compiling needs."""

from pathlib import Path

import pytest
import torch

from pipeline.config.runtime import Runtime
from pipeline.engine.compilation import compilation, find_compiler
from pipeline.errors import ConfigError

CPU = torch.device("cpu")


@pytest.mark.parametrize("wanted", ["auto", "off"])
def test_a_cpu_is_not_compiled_for_unless_asked(wanted: str) -> None:
    choice = compilation(Runtime(compile=wanted), CPU)
    assert not choice.on
    assert wanted in choice.why


def test_asked_for_it_is_done_with_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "g++"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_compiler() == str(program)
    assert compilation(Runtime(compile="on"), CPU).on


def test_without_a_compiler_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"^runtime.compile is on, but there is no C\+\+ compiler .*install one"):
        compilation(Runtime(compile="on"), CPU)
    assert not compilation(Runtime(compile="auto"), CPU).on
