"""``tinybert ablate`` as a user runs it: below one flow run on a server, and killed in the middle of one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from tiny_run import Tiny

SHORT = (
    "students.random-start=null",
    "general_distillation.training.max_steps=2",
    "phases.*.training.max_steps=2",
    "evaluation.tfidf=false",
)
COMMAND = (sys.executable, "-m", "flows.cli", "ablate", "tiny.yaml", "changes.yaml", *SHORT)
LONG = "general_distillation.training.epochs=100000"
NOBODY = "http://127.0.0.1:9/api"  # the discard port: nothing answers


def environment(run: Tiny, api: str) -> dict[str, str]:
    (run.folder / "changes.yaml").write_text("no-hidden: {phases.intermediate.terms.hidden: 0}\n")
    return (
        os.environ
        | {"PREFECT_API_URL": api, "OMP_NUM_THREADS": "1", "PREFECT_HOME": str(run.folder / "prefect")}
        | {"PYTHONPATH": os.pathsep.join(sys.path)}
    )


def ended(run: Tiny, api: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "--seeds", "2", "--resamples", "20", *options],
        cwd=run.folder,
        env=environment(run, api),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_each_run_is_a_flow_run_below_the_comparison(fresh: Tiny, server: str) -> None:
    done = ended(fresh, server)
    assert done.returncode == 0, done.stderr
    assert "4 runs of 48 stages, 26 different ones; 26 are still to be made" in done.stdout + done.stderr
    for line in ("all", "no-hidden", "label-only", "comparison.html"):
        assert line in done.stdout
    flow_runs = httpx.post(f"{server}/flow_runs/filter", json={}).json()
    parent = next(one for one in flow_runs if one["name"].startswith("comparison"))
    names = {one["name"] for one in flow_runs if one["parent_task_run_id"] is not None}
    assert names >= {"all 5", "all 6", "no-hidden 5", "no-hidden 6"}
    assert parent["state_name"] == "Completed"
    again = ended(fresh, server, "--json")
    assert again.returncode == 0, again.stderr
    assert [row["name"] for row in json.loads(again.stdout)["results"]] == ["all", "no-hidden", "label-only"]


@pytest.mark.slow
def test_killed_in_the_middle_it_ends_with_the_same_table(
    fresh: Tiny, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first = subprocess.Popen(
        [*COMMAND, "--seeds", "2", "--resamples", "20"],
        cwd=fresh.folder,
        env=environment(fresh, NOBODY),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 240
    while not list(fresh.folder.glob("artifacts/evaluation/v0001-*")):
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = ended(fresh, NOBODY)
    assert done.returncode == 0, done.stderr
    assert fresh.versions()["teacher"] == [1]
    assert fresh.versions()["evaluation"] == [1, 2, 3, 4]
    killed, whole = table(fresh.folder), tmp_path_factory.mktemp("whole")
    other = Tiny(whole)
    for path in fresh.folder.iterdir():
        if path.name not in {"artifacts", "prefect", "changes.yaml"}:
            (whole / path.name).symlink_to(path)
    assert ended(other, NOBODY).returncode == 0
    assert table(whole) == killed


def table(folder: Path) -> object:
    """The results without what the clock says."""
    (path,) = folder.glob("artifacts/comparison/*/comparison.json")
    found = json.loads(path.read_text("utf-8"))
    return [
        {key: row[key] for key in ("name", "mean", "interval", "difference", "by_seed")} for row in found["results"]
    ]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("compare", "tiny.yaml"), "nothing to compare: name recipes with --recipes a,b"),
        (
            ("compare", "tiny.yaml", "--recipes", "hinton"),
            "tiny.yaml sets phases, which is what the recipes are compared",
        ),
        (("ablate", "tiny.yaml", "a.yaml", "b.yaml"), "'b.yaml' is one file too many"),
        (("compare", "tiny.yaml", "b.yaml", "--recipes", "hinton"), "'b.yaml' is one file too many: compare takes"),
        (("ablate", "tiny.yaml", "gone.yaml"), "gone.yaml does not exist"),
    ],
)
def test_mistakes_are_one_line(fresh: Tiny, options: tuple[str, ...], line: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", *options],
        cwd=fresh.folder,
        env=environment(fresh, NOBODY),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert line in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_comparison_is_cancelled_as_a_run_is(fresh: Tiny, server: str) -> None:
    """In the UI, in the middle of one of its runs."""
    command = subprocess.Popen(
        [*COMMAND, "--seeds", "1", "general_distillation.training.max_steps=null", LONG],
        cwd=fresh.folder,
        env=environment(fresh, server),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    deadline = time.monotonic() + 240
    while not list(fresh.folder.glob("artifacts/.work/*/scratch/training/*")):
        assert command.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    running = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}, "name": {"like_": "comparison"}}}
    (parent,) = httpx.post(f"{server}/flow_runs/filter", json=running).json()
    cancelling = {"state": {"type": "CANCELLING", "name": "Cancelling"}, "force": True}
    httpx.post(f"{server}/flow_runs/{parent['id']}/set_state", json=cancelling).raise_for_status()
    _, said = command.communicate(timeout=120)
    assert command.returncode == 130
    assert "Traceback" not in said
    assert httpx.get(f"{server}/flow_runs/{parent['id']}").json()["state_type"] == "CANCELLED"
