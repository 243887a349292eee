"""``tinybert plan --cost``: what a run would take, told before it runs, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tiny_run import STAGES, Tiny

from flows.cost import duration, print_cost, size
from flows.plan import plan_run
from flows.rehearsal import load_asked
from pipeline.cost.arithmetic import RunCost, StageCost
from pipeline.cost.run import run_cost
from pipeline.errors import PipelineError

NOBODY = "http://127.0.0.1:9/api"  # the discard port: nothing answers, and nothing has to be started


COMMAND = (sys.executable, "-m", "flows.cli", "plan", "--cost", "tiny.yaml")


def surroundings(run: Tiny) -> dict[str, str]:
    temporary = run.folder.parent / f"{run.folder.name}-temporary"
    temporary.mkdir(exist_ok=True)
    return (
        dict(os.environ)
        | {"PREFECT_API_URL": NOBODY, "PREFECT_CLIENT_MAX_RETRIES": "0", "OMP_NUM_THREADS": "1"}
        | {"PREFECT_HOME": str(temporary / "prefect"), "PYTHONPATH": os.pathsep.join(sys.path)}
        | {"TMPDIR": str(temporary)}
    )


def rehearsals(run: Tiny) -> list[Path]:
    return list((run.folder.parent / f"{run.folder.name}-temporary").glob("tinybert-cost-*"))


def ask(run: Tiny, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=run.folder,
        env=surroundings(run),
        capture_output=True,
        text=True,
        check=False,
    )


def rehearsed(run: Tiny, tmp_path: Path, *overrides: str) -> tuple[dict[str, StageCost], list[str]]:
    """The cost in this process."""
    config = run.config(*overrides)
    steps = plan_run(config)
    finished = {stage.name: run.store.get(stage).path for stage, reason in steps if reason.action == "reuse"}
    folder = tmp_path / "rehearsal"
    folder.mkdir()
    found, notes = run_cost(config, steps, finished, folder)
    return {stage.stage: stage for stage in found.stages}, notes


@pytest.mark.slow
def test_a_fresh_run_is_told_stage_by_stage_and_nothing_is_left(fresh: Tiny) -> None:
    before = sorted(fresh.folder.rglob("*"))
    done = ask(fresh, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert tuple(stage["stage"] for stage in told["stages"]) == STAGES
    assert all(stage["action"] == "run" and stage["seconds"] > 0 for stage in told["stages"])
    assert told["seconds"] == pytest.approx(told["start_seconds"] + sum(stage["seconds"] for stage in told["stages"]))
    assert told["peak_bytes"] > 1e8
    assert sorted(fresh.folder.rglob("*")) == before
    assert rehearsals(fresh) == []


@pytest.mark.slow
def test_what_is_finished_costs_nothing_and_is_used(fresh: Tiny, tmp_path: Path) -> None:
    fresh.run(until="teacher")
    fresh.run(until="general_distillation")
    costs, _ = rehearsed(fresh, tmp_path)
    reused = {name for name, cost in costs.items() if cost.action == "reuse"}
    assert reused == {"corpus", "general_distillation", "task_data", "teacher"}
    for name, cost in costs.items():
        assert (cost.seconds, cost.disk_bytes) == (0, 0) if name in reused else cost.seconds > 0, name


@pytest.mark.slow
def test_disk_is_what_the_run_then_takes(fresh: Tiny, tmp_path: Path) -> None:
    costs, _ = rehearsed(fresh, tmp_path)
    fresh.run()
    for name, cost in costs.items():
        files = fresh.artifact(name).manifest.files.values()
        assert cost.disk_bytes == pytest.approx(sum(file.size for file in files), rel=0.35, abs=4_000), name


@pytest.mark.parametrize(
    ("overrides", "stages"),
    [
        (("task=null",), {"corpus", "general_distillation"}),
        (
            ("augmentation=null", "phases.intermediate=null", "phases.prediction.terms={soft: 0, hard: 1}"),
            {"prediction", "teacher"},
        ),
        (("teacher.finetune=null", "teacher.model=./knowing", "augmentation.mlm=./teacher"), {"teacher"}),
        (
            ('pretrain={"mode": "continue", "training": {"epochs": 3, "batch_size": 8, "max_tokens": null}}',),
            {"pretrain"},
        ),
        (("corpus.tokenizer={vocab_size: 90}", "task=null", "teacher.model=null", "pretrain=SCRATCH"), {"pretrain"}),
    ],
)
def test_runs_of_other_shapes_are_told_too(
    fresh: Tiny, tmp_path: Path, overrides: tuple[str, ...], stages: set[str]
) -> None:
    scratch = {
        "mode": "scratch",
        "architecture": {"layers": 2, "hidden": 32, "heads": 4, "intermediate": 48},
        "max_length": 40,
        "training": {"epochs": 1, "batch_size": 8, "max_tokens": None},
    }
    if "teacher.model=./knowing" in overrides:
        knowing(fresh)
    given = [override.replace("SCRATCH", json.dumps(scratch)) for override in overrides]
    costs, _ = rehearsed(fresh, tmp_path, *given, "evaluation.label_only=null", "evaluation.tfidf=false")
    assert stages <= set(costs)
    assert all(cost.seconds > 0 for cost in costs.values())


def knowing(run: Tiny) -> None:
    """A teacher that already knows the task."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    names = dict(enumerate(("animal", "city", "food")))
    model = AutoModelForSequenceClassification.from_pretrained(
        run.folder / "teacher", num_labels=3, id2label=names, label2id={name: n for n, name in names.items()}
    )
    model.save_pretrained(run.folder / "knowing")
    AutoTokenizer.from_pretrained(run.folder / "teacher").save_pretrained(run.folder / "knowing")


def test_more_epochs_cost_more_steps_and_no_more_rehearsal(fresh: Tiny, tmp_path: Path) -> None:
    overrides = ("task=null", "general_distillation.training.epochs=1000", "runtime.teacher_store_gb=0")
    costs, _ = rehearsed(fresh, tmp_path, *overrides)
    assert costs["general_distillation"].basis.startswith("7,000 steps")
    assert costs["general_distillation"].basis.endswith("14 timed")


@pytest.mark.parametrize("mistake", ["students.0.heads=8", "corpus.paths=[nowhere.txt]", "task.label=subject"])
def test_a_mistake_is_found_as_the_run_finds_it(fresh: Tiny, tmp_path: Path, mistake: str) -> None:
    with pytest.raises(PipelineError) as by_rehearsal:
        rehearsed(fresh, tmp_path, mistake)
    with pytest.raises(PipelineError) as by_run:
        fresh.run(mistake)
    assert type(by_rehearsal.value) is type(by_run.value)
    assert str(by_rehearsal.value) == str(by_run.value)


@pytest.mark.slow
def test_a_mistake_is_one_line_and_leaves_nothing(fresh: Tiny) -> None:
    done = ask(fresh, "students.0.heads=8")
    assert done.returncode == 4
    assert done.stderr.splitlines()[-1].startswith("error: teacher has 4 attention heads, student 'distilled' 8")
    assert "Traceback" not in done.stderr
    assert rehearsals(fresh) == []


@pytest.mark.slow
def test_an_interrupted_rehearsal_leaves_nothing(fresh: Tiny) -> None:
    with subprocess.Popen(
        COMMAND,
        cwd=fresh.folder,
        env=surroundings(fresh),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as asked:
        until = time.monotonic() + 60
        while not any((folder / "store").exists() for folder in rehearsals(fresh)):
            assert asked.poll() is None, "the rehearsal was over before it could be interrupted"
            assert time.monotonic() < until, "the rehearsal never began"
            time.sleep(0.02)
        os.killpg(asked.pid, signal.SIGINT)
        assert asked.wait(30) == 130
    assert rehearsals(fresh) == []


@pytest.mark.usefixtures("run")
def test_a_finished_run_costs_nothing_and_rehearses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    from flows.cli import main

    with pytest.raises(SystemExit) as left:
        main(["plan", "--cost", "--json", "tiny.yaml"])
    told = json.loads(capsys.readouterr().out)
    assert not left.value.code
    assert (told["seconds"], told["rehearsal_seconds"], told["disk_bytes"]) == (0, 0, 0)
    assert {stage["action"] for stage in told["stages"]} == {"reuse"}


def test_the_configuration_reaches_the_rehearsal_whole(run: Tiny) -> None:
    config = run.config("seed=7", "students.0.layer_map=[2]")
    asked: dict[str, Any] = json.loads(json.dumps({"config": config.model_dump_json(), "until": "teacher"}))
    assert load_asked(asked) == (config, "teacher")


def test_people_are_told_hours_and_gigabytes() -> None:
    shown = [duration(value) for value in (0.44, 95, 130 * 60, 119.6, 59.7 * 60, 3 * 86_400 + 4 * 3_600)]
    assert shown == ["0.4 s", "95 s", "2 h 10 min", "120 s", "1 h 0 min", "3 d 4 h"]
    assert [size(value) for value in (0, 12_000, 3.44e6, 1.58e9, 2e12)] == [
        "0",
        "12 kB",
        "3.4 MB",
        "1.58 GB",
        "2.00 TB",
    ]


def test_the_table_says_each_stage_and_the_whole() -> None:
    stages = (
        StageCost("corpus", "reuse"),
        StageCost("teacher", "run", 7_800, 4.4e8, 2e9, 1.5e9, "100 steps"),
    )
    console = Console(record=True, width=120)
    print_cost(RunCost(stages, 60), ["a note"], 12, console)
    lines = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert "corpus reuse 0 0" in lines
    assert "teacher run 2 h 10 min 440.0 MB 1.50 GB 100 steps" in lines
    assert "total 2 h 11 min 440.0 MB 1.50 GB" in lines
    assert "a note" in lines
    assert any("2.44 GB of disk" in line for line in lines)
