"""compose.yaml's processes, with Debian's PostgreSQL and Redis, run a scheduled deployment from end to end."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from asking import ask
from stack import MISSING, Stack, running
from tiny_run import TREE, Tiny, tiny

SECRETS = {
    "POSTGRES_PASSWORD": "plantedpostgres51f0",
    "REDIS_PASSWORD": "plantedredis9a2e",
    "PREFECT_AUTH_STRING": "someone:plantedauth77c3",
    "HF_TOKEN": "hf_plantedtoken08bd",
}
PLANTED = [value.rpartition(":")[2] for value in SECRETS.values()]
RUN_SECONDS = 200.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(MISSING), reason=f"apt-get install postgresql redis: no {' and no '.join(MISSING)} here"),
]


def found(url: str, body: object) -> Any:
    """What the API answers to somebody with the password."""
    return ask(url, SECRETS["PREFECT_AUTH_STRING"], body).json()


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """All services up, and a configuration scheduled for every minute as one would do it in the worker's container."""
    folder = Path(tempfile.mkdtemp(prefix="tinybert-stack-"))
    folder.chmod(0o755)  # PostgreSQL runs as a user of its own
    try:
        with running(folder, SECRETS) as started:
            tiny(started.home / "data")
            tree = TREE | {
                "corpus": TREE["corpus"] | {"paths": ["data/corpus.txt"]},
                "teacher": TREE["teacher"] | {"model": "./data/teacher"},
                "task": TREE["task"]
                | {"train": "data/train.csv", "dev": "data/dev.csv", "unlabelled": ["data/extra.txt"]},
            }
            (started.home / "data" / "nightly.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
            started.exec("worker", "tinybert", "deploy", "data/nightly.yaml", "--cron", "* * * * *")
            yield started
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def api(stack: Stack) -> str:
    return f"http://127.0.0.1:{stack.ports['server']}/api"


@pytest.fixture(scope="module")
def finished(stack: Stack, api: str) -> dict[str, Any]:
    """The first flow run that the schedule brought about, once it has ended."""
    deadline = time.monotonic() + RUN_SECONDS
    while True:
        runs = found(f"{api}/flow_runs/filter", {"sort": "EXPECTED_START_TIME_ASC"})
        ended = [run for run in runs if run["state_type"] in {"COMPLETED", "FAILED", "CRASHED"}]
        if ended:
            return dict(ended[0])
        assert time.monotonic() < deadline, stack.log("worker")
        time.sleep(1)


def test_every_health_check_says_yes(stack: Stack) -> None:
    assert {name: stack.unhealthy(name) for name in stack.services} == dict.fromkeys(stack.services)


def test_the_schedule_ran_the_whole_flow(stack: Stack, finished: dict[str, Any], api: str) -> None:
    assert finished["state_type"] == "COMPLETED", stack.log("worker")
    assert finished["auto_scheduled"]
    assert finished["work_pool_name"] == "tinybert"
    made = {path.parent.parent.name for path in (stack.home / "artifacts").glob("*/v*/manifest.json")}
    wanted = {stage.name for stage in Tiny(stack.home / "data").stages()}
    assert made == wanted
    deadline = time.monotonic() + 30  # the services write them down a moment later
    while True:
        tasks = found(f"{api}/task_runs/filter", {"flow_runs": {"id": {"any_": [finished["id"]]}}})
        states = {task["name"]: task["state_name"] for task in tasks}
        if states == dict.fromkeys(wanted, "Completed"):
            break
        assert time.monotonic() < deadline, states
        time.sleep(0.5)


def test_records_are_in_postgresql_and_messages_in_redis(stack: Stack, finished: dict[str, Any]) -> None:
    assert finished["id"] in database(stack, "psql", "--tuples-only", "--command=select id from flow_run")
    keys = stack.exec("redis", "redis-cli", "-p", str(stack.ports["redis"]), "--scan").splitlines()
    assert "events" in keys
    assert not list(stack.folder.rglob("prefect.db"))


def test_server_and_services_had_no_trouble(stack: Stack, finished: dict[str, Any]) -> None:
    assert finished["state_type"] == "COMPLETED"
    assert [name for name in ("server", "services") if "Traceback" in stack.log(name)] == []


def test_nothing_answers_without_the_password(stack: Stack, api: str) -> None:
    reports = f"http://127.0.0.1:{stack.ports['reports']}/"
    for auth, status in ((None, 401), ("someone:else", 401), (SECRETS["PREFECT_AUTH_STRING"], 200)):
        assert ask(f"{api}/flow_runs/filter", auth, {}).status_code == status
        assert ask(reports, auth).status_code == status
    assert ask(f"{api}/health").json() is True  # that it is alive is no secret


def test_the_report_is_read_over_http_at_the_address_that_the_ui_shows(
    stack: Stack, finished: dict[str, Any], api: str
) -> None:
    shown = found(
        f"{api}/artifacts/filter",
        {"artifacts": {"key": {"any_": ["report-artifact"]}, "flow_run_id": {"any_": [finished["id"]]}}},
    )
    address = f"http://127.0.0.1:{stack.ports['reports']}/report/"
    (text,) = {one["data"] for one in shown}
    link = text[text.index(address) :].partition(")")[0].partition("]")[0]
    page = ask(f"{link.removesuffix('report.html').rstrip('/')}/report.html", SECRETS["PREFECT_AUTH_STRING"])
    assert "<html" in page.text.lower()


def test_no_secret_is_in_a_file_a_command_or_an_answer(stack: Stack, finished: dict[str, Any], api: str) -> None:
    leaks = [
        f"{path}: {secret}"
        for path in stack.folder.rglob("*")
        if path.is_file() and path.relative_to(stack.folder).parts[0] != "postgres"  # dumped below
        for secret in PLANTED
        if secret.encode() in path.read_bytes()
    ]
    assert leaks == []
    ours = [path for path in Path("/proc").glob("[0-9]*/cmdline") if _mentions(path, str(stack.folder))]
    assert ours
    assert not [path.read_bytes() for path in ours for secret in PLANTED if _mentions(path, secret)]
    for what in ("flow_runs", "task_runs", "deployments", "work_pools", "artifacts", "logs", "block_documents"):
        answer = json.dumps(found(f"{api}/{what}/filter", {}))
        assert not [secret for secret in PLANTED if secret in answer], what
    records = database(stack, "pg_dump")
    assert finished["id"] in records
    assert not [secret for secret in PLANTED if secret in records]


def database(stack: Stack, program: str, *arguments: str) -> str:
    """What a program of PostgreSQL says of Prefect's database."""
    command = [program, "--username=prefect", "--dbname=prefect", *arguments]
    environment = stack.environment("postgres") | {"PGPASSWORD": SECRETS["POSTGRES_PASSWORD"]}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def _mentions(path: Path, text: str) -> bool:
    try:
        return text.encode() in path.read_bytes()
    except OSError:
        return False
