"""A whole run on two processes: it ends as on one, and a process that is killed costs nothing but time."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_run_without_prefect import NOBODY
from tiny_run import STAGES, TREE, Tiny, save_teacher, tiny, write_tree

# Each process drops other units, so only without dropout one process and two are the same training.
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
TRAINED = {
    **dict.fromkeys(("general_distillation", "intermediate", "prediction", "label_only"), "training"),
    "teacher": "restart_0",
}
KILLED_RANK = Path(__file__).parent / "killed_rank.py"
UNLIKE_RANK = Path(__file__).parent / "unlike_rank.py"


def start(run: Tiny, *command: str, restarts: int = 0) -> subprocess.Popen[str]:
    launcher = ("--standalone", "--nproc-per-node=2", f"--max-restarts={restarts}", "--monitor-interval=0.1")
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *launcher, *command],
        cwd=run.folder,
        env=os.environ
        | {"PREFECT_API_URL": NOBODY, "PREFECT_CLIENT_MAX_RETRIES": "0", "OMP_NUM_THREADS": "1"}
        | {"PREFECT_HOME": str(run.folder / "prefect"), "PYTHONPATH": os.pathsep.join(sys.path)}
        | {"TMPDIR": str(run.folder / "private")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(started: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    try:
        output, errors = started.communicate(timeout=120)
    finally:
        started.terminate()  # the launcher takes its processes along
    assert started.returncode == code, errors[-4000:]
    return output, errors


def on_two(run: Tiny, *arguments: str, code: int = 0) -> tuple[str, str]:
    return finish(start(run, "-m", "flows.cli", "run", "tiny.yaml", *arguments), code)


def make(folder: Path) -> Tiny:
    """A tiny run without dropout."""
    made = tiny(folder)
    (folder / "private").mkdir()
    shutil.rmtree(folder / "teacher")
    save_teacher(folder / "teacher", **NO_DROPOUT)
    students = [{**student, "dropout": 0.0} for student in TREE["students"]]
    write_tree(folder, TREE | {"students": students})
    return made


def curves(run: Tiny, stage: str) -> dict[str, np.ndarray]:
    histories: dict[str, Any] = json.loads((run.path(stage) / f"{TRAINED[stage]}_history.json").read_text())
    return {name: np.array([point["loss"] for point in history["curve"]]) for name, history in histories.items()}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A run that two processes finished undisturbed; its output beside it."""
    run = make(tmp_path_factory.mktemp("shared"))
    output, errors = on_two(run)
    (run.folder / "output").write_text(output)
    (run.folder / "errors").write_text(errors)
    return run


@pytest.mark.slow
def test_two_processes_learn_what_one_does(shared: Tiny, tmp_path: Path) -> None:
    """Within 1e-5 of the loss: sums are taken in another order, stage upon stage; nothing else differs."""
    alone = make(tmp_path)
    alone.run()
    assert shared.versions() == {stage: [1] for stage in STAGES}
    for stage in TRAINED:
        ours, theirs = curves(shared, stage), curves(alone, stage)
        assert ours.keys() == theirs.keys()
        for name, curve in ours.items():
            np.testing.assert_allclose(curve, theirs[name], rtol=1e-5, err_msg=f"{stage}/{name}")


@pytest.mark.slow
def test_the_first_process_alone_speaks_and_the_others_leave_nothing(shared: Tiny) -> None:
    output, errors = ((shared.folder / name).read_text() for name in ("output", "errors"))
    assert output.count(f"report: artifacts/{shared.artifact('report').ref}/report.html\n") == 1
    for stage in STAGES:
        assert errors.count(f"{stage}: {stage}/v0001-") == 1
    assert "Traceback" not in errors
    assert list((shared.folder / "private").glob("tinybert-*")) == []
    assert all(shared.store.verify(artifact) == [] for artifact in shared.store.list())


@pytest.mark.slow
def test_a_finished_run_is_reused_by_all(shared: Tiny) -> None:
    output, _ = on_two(shared)
    assert output.startswith("Every stage is finished and unchanged; nothing to do.\n")
    assert shared.versions() == {stage: [1] for stage in STAGES}


@pytest.mark.slow
def test_after_a_process_was_killed_all_start_again_and_end_with_the_same_bytes(shared: Tiny, tmp_path: Path) -> None:
    again = Tiny(shutil.copytree(shared.folder, tmp_path / "again"))
    redone = ("teacher", "teacher_logits", "intermediate", "prediction", "label_only")
    redone += ("evaluation", "latency", "report")
    for stage in redone:
        shutil.rmtree(again.path(stage).parent)
    checkpoint = "artifacts/.work/*/scratch/restart_0/step-0000001?"
    command = (str(KILLED_RANK), checkpoint, "run", "tiny.yaml", "--until", "prediction")
    _, errors = finish(start(again, *command, restarts=2))
    assert errors.count("teacher: resumed at step ") == 1
    assert errors.count("Traceback") == 0
    assert again.artifact("teacher").manifest.timings.resumed
    for stage in ("teacher", "intermediate", "prediction"):
        assert again.artifact(stage).manifest.digest == shared.artifact(stage).manifest.digest
    assert again.students() == shared.students()


@pytest.mark.slow
def test_a_mistake_that_every_process_meets_is_told_once(shared: Tiny, tmp_path: Path) -> None:
    run = Tiny(shutil.copytree(shared.folder, tmp_path / "mistaken"))
    _, errors = on_two(run, "students.0.heads=8", "--until", "general_distillation", "--quiet", code=1)
    assert errors.count("error: ") == 1
    assert "error: teacher has 4 attention heads, student 'distilled' 8" in errors
    assert "exitcode  : 4 " in errors  # what the launcher says of the first process


@pytest.mark.slow
def test_one_interrupt_ends_all(shared: Tiny, tmp_path: Path) -> None:
    run = Tiny(shutil.copytree(shared.folder, tmp_path / "interrupted"))
    started = start(run, "-m", "flows.cli", "run", "tiny.yaml", "teacher.finetune.epochs=2000", "--until", "teacher")
    while not any(run.folder.glob("artifacts/.work/*/scratch/restart_0/step-*")):
        assert started.poll() is None, started.communicate()
        time.sleep(0.05)
    started.send_signal(signal.SIGINT)
    _, errors = finish(started, code=1)
    assert errors.count("interrupted; run the same command again") == 1
    assert list((run.folder / "private").glob("tinybert-*")) == []


@pytest.mark.slow
def test_the_first_process_decides_the_precision_for_a_machine_of_another_kind(tmp_path: Path) -> None:
    run, seen = make(tmp_path), tmp_path / "seen"
    seen.mkdir()
    own = ("precision=auto", "students=[{layers: 1, hidden: 256, heads: 4, dropout: 0}]")
    finish(start(run, str(UNLIKE_RANK), str(seen), "run", "tiny.yaml", *own, "--until", "general_distillation"))
    settings = run.artifact("general_distillation").manifest.config
    assert (settings["precision"], settings["teacher_precision"]) == ("bfloat16", "float32")
    # Each trains the student in the one and reads the teacher in the other.
    assert {path.name for path in seen.iterdir()} == {"0-bfloat16", "0-float32", "1-bfloat16", "1-float32"}
