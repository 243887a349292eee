"""Dev rows that were trained on are told before anything runs, after it, and in what is handed on."""

import io
import shutil
from contextlib import chdir
from pathlib import Path

import pytest
from rich.console import Console
from tiny_run import Tiny, tiny

from flows.cli import main
from flows.result import outcome, print_outcome

LEAK = "24 of 24 dev rows stand in the training rows too"
BRIEF = (
    *("task.unlabelled=[]", "augmentation=null", "phases.intermediate=null", "teacher.finetune.epochs=1"),
    *("general_distillation=null", "corpus=null", "evaluation.label_only=null"),
    "students=[{name: small, layers: 1, hidden: 16, intermediate: 24, start: random}]",
)


@pytest.fixture(scope="module")
def leaking(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    run = tiny(tmp_path_factory.mktemp("leaking"))
    shutil.copy(run.folder / "dev.csv", run.folder / "train.csv")
    return run


def planned(run: Tiny, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with chdir(run.folder), pytest.raises(SystemExit) as left:
        main(["plan", "tiny.yaml", *BRIEF, *arguments])
    assert not left.value.code
    return capsys.readouterr().out


def test_a_leak_is_told_wherever_the_scores_are(leaking: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    assert LEAK in planned(leaking, capsys)  # read now
    assert not list((leaking.folder / "artifacts").glob("*")), "a plan does nothing"
    done = leaking.run(*BRIEF)
    assert any(line.startswith(f"warning: {LEAK}") for line in leaking.notes.lines)
    assert LEAK in planned(leaking, capsys)  # remembered
    assert LEAK in planned(leaking, capsys, "--json")
    said = io.StringIO()
    with chdir(leaking.folder):
        print_outcome(outcome(leaking.stages(*BRIEF), leaking.store), Console(file=said, width=300))
    assert f"warning: {LEAK}" in said.getvalue()
    report = done["report"].artifact.path
    assert LEAK in (report / "report.html").read_text()
    assert LEAK in (report / "students" / "small" / "README.md").read_text()


def test_other_dev_rows_are_nothing_to_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "warning" not in planned(tiny(tmp_path), capsys)
