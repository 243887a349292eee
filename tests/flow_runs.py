"""Runs against a real Prefect server: one in this process, one on the command line, and what the server knows."""

import os
import subprocess
import sys
import time
from typing import Any
from uuid import UUID

from tiny_run import Tiny

PATIENCE_SECONDS = 120


def flow(run: Tiny, *overrides: str, until: str | None = None) -> Any:
    """The final state of one run of the flow."""
    from flows.two_stage import two_stage_flow

    return two_stage_flow(run.config(*overrides), until, return_state=True)


def task_states(flow_run: UUID, expected: int) -> dict[str, tuple[str, str]]:
    """Task run -> name and type of its state; the server learns of them a moment later."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    deadline = time.monotonic() + 60
    while True:
        with get_client(sync_client=True) as client:
            runs = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run])))
        settled = [one for one in runs if one.state is not None and one.state.is_final()]
        if len(settled) == len(runs) == expected or time.monotonic() > deadline:
            return {one.name: (one.state.name, one.state.type.value) for one in runs if one.state is not None}
        time.sleep(0.2)


def tinybert(run: Tiny, server: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *arguments],
        cwd=run.folder,
        env=os.environ | {"PREFECT_API_URL": server, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_checkpoint(run: Tiny, command: subprocess.Popen[str]) -> None:
    """Until the first training of a run has written a checkpoint."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not list((run.folder / "artifacts").glob(".work/*/scratch/training/step-*")):
        assert command.poll() is None, command.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
