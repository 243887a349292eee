"""What a work pool's job starts: a flow run of a deployment, carried out by two processes."""

import asyncio
import os
import subprocess
import sys
from contextlib import chdir
from typing import Any
from uuid import uuid4

import pytest
from tiny_run import Tiny

from pipeline.errors import ConfigError


def job(run: Tiny, flow_run: object, processes: int, server: str) -> subprocess.CompletedProcess[str]:
    """The command of docker/pools."""
    private = run.folder / "private"
    private.mkdir(exist_ok=True)
    launcher = (sys.executable, "-m", "torch.distributed.run")
    return subprocess.run(
        [*launcher, "--standalone", f"--nproc-per-node={processes}", "-m", "flows.job"],
        cwd=private,
        env=os.environ
        | {"PREFECT_API_URL": server, "PREFECT__FLOW_RUN_ID": str(flow_run)}
        | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )


def scheduled(run: Tiny, until: str, *overrides: str) -> Any:
    """A flow run of a deployment in a pool that nobody else works for; what a worker would pick up."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate

    from flows.deployment import deployment, register
    from pipeline.config.locations import anchored

    config = anchored(run.config(*overrides), run.folder)
    name = f"pool-{uuid4().hex[:8]}"

    async def create() -> Any:
        async with get_client() as client:
            await client.create_work_pool(WorkPoolCreate(name=name, type="kubernetes", base_job_template={}))

    asyncio.run(create())
    with chdir(run.folder):
        wanted = deployment(config, until, name, name, None, [], when_data_changes=False)
        register(wanted)
    with get_client(sync_client=True) as client:
        found = client.read_deployment_by_name(wanted.full_name)
        return client.create_flow_run_from_deployment(found.id).id


def ended(flow_run: Any) -> Any:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return client.read_flow_run(flow_run)


@pytest.mark.slow
def test_two_processes_carry_out_a_flow_run(fresh: Tiny, server: str) -> None:
    flow_run = scheduled(fresh, "general_distillation")
    done = job(fresh, flow_run, 2, server)
    assert done.returncode == 0, done.stderr[-4000:]
    found = ended(flow_run)
    assert found.state.is_completed(), found.state.message
    assert fresh.versions() == {"corpus": [1], "general_distillation": [1]}
    assert [path.name for path in (fresh.folder / "private").iterdir()] == []


@pytest.mark.slow
def test_a_flow_run_that_fails_says_why_to_the_server(fresh: Tiny, server: str) -> None:
    flow_run = scheduled(fresh, "general_distillation", "students.0.heads=8")
    job(fresh, flow_run, 1, server)
    found = ended(flow_run)
    assert found.state.is_failed()
    assert "teacher has 4 attention heads, student 'distilled' 8" in str(found.state.message)


def test_without_a_flow_run_it_says_who_starts_it(fresh: Tiny) -> None:
    command = [sys.executable, "-m", "flows.job"]
    done = subprocess.run(
        command,
        cwd=fresh.folder,
        env=os.environ | {"PREFECT__FLOW_RUN_ID": "x", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ConfigError.exit_code
    assert done.stderr == (
        "error: PREFECT__FLOW_RUN_ID is 'x', not a flow run: a Prefect worker starts this command and sets it; "
        "to run a configuration yourself, use tinybert run\n"
    )
