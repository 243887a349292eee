"""What a run survives, allows with a word, or asks to be mended before it goes on."""

import json
from pathlib import Path

import pytest
import torch
from tiny_run import STAGES, sentences, tiny, write_csv

from pipeline.data.tokens.table import TokenTable
from pipeline.errors import ConfigError, ModelError


@pytest.mark.parametrize("until", ["corpse", "pretrain"])
def test_an_unknown_last_stage_names_those_there_are(tmp_path: Path, until: str) -> None:
    with pytest.raises(ConfigError, match=f"no stage '{until}': choose one of corpus, .*report"):
        tiny(tmp_path).stages(until=until)


def test_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ConfigError, match=r"runtime.device is 'cuda'.*set it to auto or cpu"):
        tiny(tmp_path, finished=True).run("runtime.device=cuda", "seed=8")


def test_a_mended_run_goes_on_from_what_was_finished(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    with pytest.raises(ModelError):
        run.run("students.0.hidden=18", "students.0.heads=6")
    outcomes = run.run(until="general_distillation")
    assert [outcome.state for outcome in outcomes.values()] == ["reused", "completed"]


def test_a_student_larger_than_its_teacher_is_allowed_and_warned_about(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    run.run("students.0.layers=3", "students.0.hidden=40", until="general_distillation")
    warnings = [line for line in run.notes.lines if line.startswith("warning: distilled:")]
    assert [("deeper" in line, "wider" in line) for line in warnings] == [(True, False), (False, True)]
    assert "3 layers against 2" in warnings[0]
    assert "40 against 32" in warnings[1]


def test_rows_too_long_are_cut_and_counted(tmp_path: Path) -> None:
    run = tiny(tmp_path, finished=True)
    long = [(f"{text} {' '.join(['otter'] * 30)}", label) for text, label in sentences(3, 8)]
    write_csv(run.folder / "train.csv", ("sentence", "topic"), [*sentences(48, 1), *long])
    run.run(until="teacher_logits")
    assert "3 of 51 rows are longer than 20 word pieces and were cut" in run.notes.lines
    assert TokenTable.open(run.path("teacher_logits") / "tokens").lengths.max() == 20


@pytest.mark.parametrize("stage", ["teacher", "prediction"])
def test_an_artifact_edited_by_hand_is_named_set_aside_and_rebuilt(tmp_path: Path, stage: str) -> None:
    run = tiny(tmp_path, finished=True)
    before = {name: run.artifact(name).manifest.digest for name in STAGES}
    path = run.path(stage) / "training_history.json"
    path = path if path.exists() else run.path(stage) / "restart_0_history.json"
    path.write_text(json.dumps({}))
    assert run.plan()[stage].reasons[0].startswith(f"artifact damaged: {path.name} has 2 bytes instead of")
    outcomes = run.run(until="prediction")
    assert [name for name, outcome in outcomes.items() if outcome.state != "reused"] == [stage]
    (line,) = (line for line in run.notes.lines if "damaged" in line)
    assert f"{stage}/v0001" in line
    assert list(run.store.layout.quarantine.iterdir())
    assert run.versions()[stage] == [2]
    assert run.artifact(stage).manifest.digest == before[stage]
