"""Deployments on the services that ``tinybert up`` starts: a real server, a real worker, real runs."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import browser
import pytest
from services import Up, until
from tiny_run import STAGES, Tiny, tiny

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
REUSED = dict.fromkeys(STAGES, "Reused")
# Another run of this user: it trains, and keeps the device until it is told to end.
TRAINS = """
import sys
from pathlib import Path
from pipeline.config.runtime import Runtime
from pipeline.progress import Silent
from pipeline.store.stage import StageRun
from tasks.device_lock import exclusive_device
from tiny_run import Tiny
here, runtime = Path(), Runtime(device="cpu")
with exclusive_device(Tiny(Path(sys.argv[1])).stages().teacher, runtime, Silent(), None) as announce:
    announce(StageRun({}, here, here, runtime, Silent()))
    print("trains", flush=True)
    sys.stdin.read()
"""
# A slot that the server does not know of, as after a restart that forgot it: who holds it is told so, or ended.
LOSES_ITS_SLOT = """
import logging, sys, threading, time
from uuid import uuid4
from prefect import flow_engine
if sys.argv[1] == "ours":
    import flows.two_stage
told = threading.Event()
class Listener(logging.Handler):
    def emit(self, record):
        if "no longer reserved" in record.getMessage():
            told.set()
logging.getLogger("prefect.concurrency").addHandler(Listener())
with flow_engine.maintain_concurrency_lease(uuid4(), 300, raise_on_lease_renewal_failure=True):
    while not told.is_set():
        time.sleep(0.1)
    for _ in range(20):
        time.sleep(0.1)
print("went on")
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A finished run that is deployed from its folder."""
    return tiny(tmp_path_factory.mktemp("run"), finished=True)


@pytest.fixture(scope="module")
def services(run: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    found = Up(tmp_path_factory.mktemp("services"), run.folder / "artifacts")
    try:
        started = found.up()
        assert started.returncode == 0, started.stderr
        yield found
    finally:
        found.close()


def deploy(services: Up, run: Tiny, *arguments: str) -> str:
    done = services.tinybert("deploy", "tiny.yaml", *arguments, cwd=run.folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_everything_is_up_and_says_where(services: Up) -> None:
    told = services.status()
    assert {one["name"]: one["health"] for one in told["services"]} == dict.fromkeys(
        ("server", "reports", "worker"), "up"
    )
    again = services.up()
    assert again.returncode == 0
    assert again.stdout.startswith("everything is up already\n")
    assert f"UI: {services.ui} (database: SQLite)" in again.stdout
    other = services.tinybert("up", "--pool", "other")
    assert other.returncode == 1
    assert other.stderr.count("\n") == 1
    assert "tinybert down first" in other.stderr


def test_a_run_of_the_command_line_finds_the_server(services: Up, run: Tiny) -> None:
    done = services.tinybert("run", "tiny.yaml", "corpus.min_words=1", "--until", "corpus", "--quiet", cwd=run.folder)
    assert done.returncode == 0, done.stderr
    names = [found["name"] for found in services.ask("/flow_runs/filter", limit=50)]
    assert any(re.fullmatch(r"tiny [-\d]+ [:\d]+ corpus\.min_words=1", name) for name in names)
    assert not done.stderr


def test_a_nightly_run_reuses_everything_and_an_edit_reruns_what_depends_on_it(services: Up, run: Tiny) -> None:
    said = deploy(services, run, "--cron", "0 2 * * *", "--tag", "topics")
    assert "registered two-stage-tinybert/tiny in pool tinybert" in said
    found = services.deployment("two-stage-tinybert/tiny")
    assert found["tags"] == ["tinybert", "topics"]
    assert found["global_concurrency_limit"]["limit"] == 1
    assert found["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert found["parameters"]["config"]["task"]["train"] == str(run.folder / "train.csv")

    first = services.start(found)
    ended = services.ended(first)
    assert ended["state"]["name"] == "Completed"
    assert re.fullmatch(r"tiny [-\d]+ [:\d]+", ended["name"])
    # The report too: that a deployment names the files by absolute paths is no difference.
    assert services.stages(first, len(STAGES)) == REUSED

    config = found["parameters"]["config"]
    first_phase, last_phase = config["phases"]
    warmer = {**last_phase, "terms": {"soft": {**last_phase["terms"]["soft"], "temperature": 2.0}}}
    edited = services.start(found, config={**config, "phases": [first_phase, warmer]})
    ended = services.ended(edited)
    assert ended["state"]["name"] == "Completed"
    assert ended["name"].endswith(" phases.prediction.terms.soft.temperature=2.0")
    changed = dict.fromkeys(("prediction", "evaluation", "latency", "report"), "Completed")
    assert services.stages(edited, len(STAGES)) == REUSED | changed

    planned = {"deployment_id": {"any_": [found["id"]]}, "state": {"type": {"any_": ["SCHEDULED"]}}}
    runs = until(lambda: services.ask("/flow_runs/filter", flow_runs=planned), "nothing is planned")
    assert {re.sub(r".*T(..:..).*", r"\1", one["expected_start_time"]) for one in runs} == {"02:00"}


def test_a_look_at_the_data_runs_nothing_until_it_changes(services: Up, run: Tiny) -> None:
    """The first look comes by itself."""
    arguments = ("--when-data-changes", "--until", "task_data", "--name", "looks")
    deploy(services, run, *arguments, "--every-minutes", "0.3")
    found = services.deployment("when-data-changes/looks")
    mine = {"deployment_id": {"any_": [found["id"]]}, "state": {"type": {"any_": ["COMPLETED"]}}}
    first = until(lambda: services.ask("/flow_runs/filter", flow_runs=mine), "nobody looked")[0]
    assert first["auto_scheduled"]
    assert first["state"]["name"] == "Unchanged"
    assert "every 10 minutes" in deploy(services, run, *arguments)  # from here on we look ourselves

    with (run.folder / "train.csv").open("a", encoding="utf-8") as file:
        file.write("the quiet heron crosses,animal\n")
    services.ended(services.start(found))
    after = services.ended(services.start(found))
    assert after["state"]["name"] == "Unchanged"
    # One that was planned before may have been first.
    assert [one["state"]["name"] for one in services.ask("/flow_runs/filter", flow_runs=mine)].count("Completed") == 1
    assert "nothing has changed since task_data/v0002" in after["state"]["message"]


def test_a_run_waits_for_the_device_and_outlives_the_server(services: Up, run: Tiny) -> None:
    deploy(services, run, "--name", "waits", "--until", "general_distillation", "seed=6")
    deployment = services.deployment("two-stage-tinybert/waits")
    command = [sys.executable, "-c", TRAINS, str(run.folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=services.environment, text=True, **pipes) as other:  # type: ignore[call-overload]
        assert other.stdout.readline() == "trains\n"
        assert [one["stage"] for one in services.status()["devices"]] == ["teacher"]
        waiting = services.start(deployment)
        line = services.logged(waiting, "waiting for the device cpu")
        assert f"held by process {other.pid} (teacher" in line

        pids = services.processes()
        os.kill(pids["server"][0], signal.SIGKILL)
        until(lambda: services.processes()["server"][1] == "ended", "the server lives")
        again = services.up()
        assert again.returncode == 0, again.stderr
        assert f"the server (process {pids['server'][0]}) had ended already" in again.stdout
        now = services.processes()
        assert now["server"][1] == "up"
        assert [now[name][0] for name in ("reports", "worker")] == [pids[name][0] for name in ("reports", "worker")]
        assert services.ask(f"/flow_runs/{waiting}")["state"]["name"] == "Running"
        other.communicate("")
    assert services.ended(waiting)["state"]["name"] == "Completed"
    assert services.stages(waiting, 2) == {"corpus": "Reused", "general_distillation": "Completed"}


@pytest.mark.parametrize(("whose", "goes_on"), [("ours", True), ("Prefect's own", False)])
def test_a_flow_of_ours_outlives_a_slot_that_the_server_has_forgotten(
    services: Up, whose: str, *, goes_on: bool
) -> None:
    environment = services.environment | {"PREFECT_API_URL": f"{services.ui}/api"}
    command = [sys.executable, "-c", LOSES_ITS_SLOT, whose]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode == 0, done.stdout == "went on\n") == (goes_on, goes_on), done.stderr


@pytest.mark.skipif(browser.CHROMIUM is None, reason="no Chromium is installed")
def test_a_parameter_edited_in_the_form_is_the_only_one_that_changes(services: Up, run: Tiny, tmp_path: Path) -> None:
    deploy(services, run, "--name", "form", "--until", "corpus")
    found = services.deployment("two-stage-tinybert/form")
    label = "Bootstrap resamples"
    script = f"""(() => {{
        const label = [...document.querySelectorAll('label')].filter(e => e.innerText.startsWith({label!r})).pop()
        let around = label
        while (!around.querySelector('input')) around = around.parentElement
        const input = around.querySelector('input')
        Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(input, '25')
        for (const kind of ['input', 'change']) input.dispatchEvent(new Event(kind, {{bubbles: true}}))
        return input.value
    }})()"""
    with browser.browser(tmp_path) as page:
        text = page.open(f"{services.ui}/deployments/deployment/{found['id']}/run", label, "Submit")
        assert "Sequence length (word pieces)" in text
        assert page.run(script) == "25"
        time.sleep(3)  # the form takes what was typed over when it comes to it
        page.click("Submit", "button")
        mine = {"deployment_id": {"any_": [found["id"]]}}
        asked = until(lambda: services.ask("/flow_runs/filter", flow_runs=mine), "the form was not sent")[0]
    config = found["parameters"]["config"]
    assert asked["parameters"]["config"] == {**config, "evaluation": {**config["evaluation"], "bootstrap": 25}}
    services.ended(asked["id"])


def test_prefect_yaml_deploys(services: Up) -> None:
    services.environment["PREFECT_API_URL"] = f"{services.ui}/api"
    try:
        done = services.command("prefect", "--no-prompt", "deploy", "--all", cwd=ROOT)
    finally:
        del services.environment["PREFECT_API_URL"]
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("two-stage-tinybert/demo-nightly", "when-data-changes/demo-when-data-changes"):
        found = services.deployment(name)
        assert found["global_concurrency_limit"]["limit"] == 1
        assert found["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
        assert found["parameters"]["config"]["name"] == "demo"


def test_a_pool_that_does_not_exist_is_one_line(services: Up, run: Tiny) -> None:
    done = services.tinybert("deploy", "tiny.yaml", "--pool", "nobody", cwd=run.folder)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "there is no work pool 'nobody' (there are tinybert): choose one with --pool, or make it with" in done.stderr


def test_the_printed_command_starts_a_run(services: Up, run: Tiny) -> None:
    """Pasted as it is, into a shell that knows no more than the user's."""
    said = deploy(services, run, "--name", "by hand")
    (command,) = (line.removeprefix("by hand: ") for line in said.splitlines() if line.startswith("by hand: "))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-c", command], env=services.environment | {"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("started two-stage-tinybert/by hand as ")
    started = re.search(r"/runs/flow-run/([0-9a-f-]+)\n", done.stdout)
    assert started is not None
    assert services.ended(started[1])["state"]["type"] == "COMPLETED"
    unknown = services.tinybert("trigger", "by hnd")
    assert unknown.returncode == 1
    assert unknown.stderr.count("\n") == 1
    assert "no deployment is called 'by hnd'" in unknown.stderr
    assert "two-stage-tinybert/by hand" in unknown.stderr


def test_down_stops_it_all_but_not_under_a_run(services: Up, tmp_path: Path) -> None:
    fresh = tiny(tmp_path)
    long = ("general_distillation.training.epochs=4000", "--until", "general_distillation", "--quiet")
    command = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "run", "tiny.yaml", *long],
        cwd=fresh.folder,
        env=services.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: list(fresh.folder.glob("artifacts/.work/*/scratch/training/step-*")), "the run trains")
        refused = services.tinybert("down")
        assert refused.returncode == 1
        assert refused.stderr.count("\n") == 1
        assert re.search(r"1 run is at work: tiny .*since .*: use --wait to let them end, or --cancel", refused.stderr)
        assert {health for _, health in services.processes().values()} == {"up"}
        done = services.tinybert("down", "--cancel")
        cancelling, *stopped = re.sub(r"\(process \d+\)", "(process N)", done.stdout).splitlines()
        assert cancelling.startswith("cancelling: 1 run is at work: tiny ")
        assert stopped == [f"stopped the {name} (process N)" for name in ("worker", "reports", "server")]
        _, said = command.communicate(timeout=240)
        assert command.returncode == 130, said
        assert "cancelled in the UI" in said
    finally:
        command.kill()
    assert services.status()["services"] == []
    assert services.tinybert("down").stdout == "nothing is up\n"
