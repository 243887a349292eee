"""Estimate what a run would cost by a rehearsal in a process of its own, and print it in hours and gigabytes."""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.plan import Steps, finished
from pipeline.config.run import RunConfig
from pipeline.cost.arithmetic import RunCost, StageCost
from pipeline.errors import ConfigError, PipelineError
from pipeline.report import formats

SHOWN_ERROR = 2_000
duration, size = partial(formats.duration, space=" "), partial(formats.size, space=" ")


def show_cost(config: RunConfig, steps: Steps, until: str | None, *, as_json: bool) -> None:
    """Rehearse the stages that are not finished and print what they would cost.

    Args:
        config: configuration of the run.
        steps: stages of the run with what would happen to each.
        until: last stage of the run; None runs all.
        as_json: print JSON instead of a table.
    """
    if config.use and not finished(steps):
        raise ConfigError(
            f"plan --cost rehearses every stage, and use.{min(config.use)} is an artifact: leave it out of the estimate"
        )
    if finished(steps):
        nothing = RunCost(tuple(StageCost(stage.name, reason.action) for stage, reason in steps))
        found: tuple[RunCost, list[str], float] = nothing, [], 0.0
    else:
        if not as_json:
            Console(stderr=True).print("rehearsing a few rows of each stage ...", highlight=False)
        found = cost_of(config, until)
    if as_json:
        print(json.dumps(as_dict(*found)))  # noqa: T201 - what the script asked for
    else:
        print_cost(*found, Console())


def cost_of(config: RunConfig, until: str | None = None) -> tuple[RunCost, list[str], float]:
    """Rehearse a run in another process.

    Args:
        config: configuration of the run.
        until: last stage of the run; None runs all.

    Returns:
        The cost of the run, remarks on it, and the seconds that the rehearsal took.

    Raises:
        PipelineError: the error that the run itself would raise for its configuration, data or models.
        RuntimeError: the rehearsal broke; a defect of this program.
    """
    clock = time.perf_counter()
    request = json.dumps({"config": config.model_dump_json(), "until": until})
    with tempfile.TemporaryDirectory(prefix="tinybert-cost-", ignore_cleanup_errors=True) as folder:
        # -P: a folder of the user's that is named as ours must not be taken for it.
        command = [sys.executable, "-P", "-m", "flows.rehearsal", folder]
        with subprocess.Popen(  # noqa: S603 - our own interpreter
            command,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as child:
            try:
                answer, errors = child.communicate(request)
            except BaseException:
                child.terminate()
                with suppress(subprocess.TimeoutExpired):
                    child.wait(10)
                child.kill()
                raise
    if child.returncode:
        raise RuntimeError(f"the rehearsal left with {child.returncode}: {errors[-SHOWN_ERROR:]}")
    found = json.loads(answer)
    if "error" in found:
        raise _mistake(found["exit_code"])(found["error"])
    stages = tuple(StageCost(**stage) for stage in found["stages"])
    return RunCost(stages, found["start_seconds"]), found["notes"], time.perf_counter() - clock


def _environment() -> dict[str, str]:
    """Return this process's environment with a Python path on which the same code is found."""
    places = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}


def _mistake(exit_code: int) -> type[PipelineError]:
    """Return the class of errors with this exit code."""
    kinds = (kind for kind in PipelineError.__subclasses__() if kind.exit_code == exit_code)
    return next(kinds, PipelineError)


def as_dict(cost: RunCost, notes: list[str], rehearsal_seconds: float) -> dict[str, Any]:
    """Return the cost for ``--json``: durations in seconds, sizes in bytes.

    Args:
        cost: cost of the run.
        notes: remarks to print beside it.
        rehearsal_seconds: seconds that the rehearsal took.
    """
    return {
        "stages": [vars(stage) for stage in cost.stages],
        "start_seconds": cost.start_seconds,
        "seconds": cost.seconds,
        "disk_bytes": cost.disk_bytes,
        "peak_disk_bytes": cost.peak_disk_bytes,
        "peak_bytes": cost.peak_bytes,
        "rehearsal_seconds": rehearsal_seconds,
        "notes": notes,
    }


def print_cost(cost: RunCost, notes: list[str], rehearsal_seconds: float, console: Console) -> None:
    """Print the cost as a table.

    Args:
        cost: cost of the run.
        notes: remarks to print below the table.
        rehearsal_seconds: seconds that the rehearsal took.
        console: where to print.
    """
    table = Table("stage", "", box=None, pad_edge=False)
    for title in ("time", "disk", "memory"):
        table.add_column(title, justify="right")
    table.add_column("measured on")
    for stage in cost.stages:
        figures = (duration(stage.seconds), size(stage.disk_bytes), size(stage.peak_bytes))
        if stage.action == "reuse":
            figures = ("0", "0", "")
        table.add_row(stage.stage, stage.action, *figures, escape(stage.basis))
    if cost.start_seconds:
        table.add_row("start", "", duration(cost.start_seconds), "0", "", "libraries and Prefect")
    table.add_section()
    table.add_row("total", "", duration(cost.seconds), size(cost.disk_bytes), size(cost.peak_bytes))
    console.print(table)
    if cost.peak_disk_bytes > cost.disk_bytes:
        console.print(f"While it runs up to {size(cost.peak_disk_bytes)} of disk are taken, checkpoints included.")
    for note in notes:
        console.print(escape(note))
    if cost.seconds:
        console.print(f"Measured in {duration(rehearsal_seconds)} on this machine as busy as it is now.")
