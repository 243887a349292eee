"""``tinybert doctor`` through the real command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_run import Tiny

from flows.cli import main
from pipeline.errors import ConfigError, StoreError

USED = [
    "device",
    "cpu_threads",
    "precision",
    "teacher_precision",
    "attention",
    "attention_loss",
    "teacher_layers",
    "compile",
    "optimizer",
    "processes",
]


def doctor(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", "doctor", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "400", **environment},
        check=False,
    )


def test_a_person_reads_what_is_there_and_what_will_be_used(fresh: Tiny) -> None:
    done = doctor(fresh.folder, "tiny.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("CPU", "memory", "matrix products", "FLOP/s", "C++ compiler", f"torch {torch.__version__}"):
        assert word in done.stdout
    assert "teacher store" in done.stdout
    assert "runtime.device is cpu" in done.stdout
    assert not (fresh.folder / "artifacts").exists()


def test_a_script_reads_the_same_as_json(fresh: Tiny) -> None:
    done = doctor(fresh.folder, "tiny.yaml", "precision=bfloat16", "runtime.compile=off", "--json")
    told = json.loads(done.stdout)
    assert list(told["will_use"]) == [*USED, "teacher_store"]
    assert told["will_use"]["precision"] == {"choice": "bfloat16", "why": "precision is bfloat16"}
    assert told["will_use"]["compile"] == {"choice": "off", "why": "runtime.compile is off"}
    assert told["versions"]["torch"] == torch.__version__
    assert min(told["matmul_flops"].values()) > 0
    slower = told["matmul_flops"]["bfloat16"] * 1.1 < told["matmul_flops"]["float32"]
    assert any("slower than float32" in warning for warning in told["warnings"]) == slower


def test_warnings_do_not_fail(fresh: Tiny) -> None:
    threads = 4 * (os.cpu_count() or 1)
    done = doctor(fresh.folder, "tiny.yaml", f"runtime.num_threads={threads}", "--json")
    assert done.returncode == 0
    assert any(f"torch uses {threads} threads" in warning for warning in json.loads(done.stdout)["warnings"])


def test_it_needs_no_configuration(tmp_path: Path) -> None:
    done = doctor(tmp_path, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["store"]["folder"] == "artifacts"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ("runtime.store=/proc/store", StoreError, ("/proc/store", "set runtime.store")),
        ("runtime.store=corpus.txt", StoreError, ("corpus.txt is not a folder",)),
        ("runtime.compile=on", ConfigError, ("runtime.compile is on", "no C++ compiler")),
        ("precision=half", ConfigError, ("precision", "half", "bfloat16")),
    ],
)
def test_what_would_stop_a_run_is_one_line_and_its_exit_code(
    fresh: Tiny,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    error: type[Exception],
    said: tuple[str, ...],
) -> None:
    monkeypatch.setenv("PATH", str(fresh.folder))
    with pytest.raises(SystemExit) as left:
        main(["doctor", "tiny.yaml", asked])
    told = capsys.readouterr()
    assert left.value.code == error.exit_code
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1
    assert [part for part in said if part not in told.err] == [], told.err
