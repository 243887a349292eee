"""What a run would cost, asked of a rehearsal in a process of its own, and said in hours and gigabytes."""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.plan import Steps, finished
from pipeline.config.run import RunConfig
from pipeline.cost.arithmetic import RunCost, StageCost
from pipeline.errors import PipelineError

SHOWN_ERROR = 2_000
MINUTE, HOUR = 60, 3_600


def show_cost(config: RunConfig, steps: Steps, until: str | None, *, as_json: bool) -> None:
    """Rehearse what is not finished and print what it would cost.

    Args:
        config: of the run.
        steps: its plan.
        until: its last stage.
        as_json: print JSON.
    """
    if finished(steps):
        nothing = RunCost(tuple(StageCost(stage.name, reason.action) for stage, reason in steps))
        found: tuple[RunCost, list[str], float] = nothing, [], 0.0
    else:
        if not as_json:
            Console(stderr=True).print("rehearsing a few rows of each stage ...", highlight=False)
        found = cost_of(config, until)
    if as_json:
        print(json.dumps(told(*found)))  # noqa: T201 - what the script asked for
    else:
        print_cost(*found, Console())


def cost_of(config: RunConfig, until: str | None = None) -> tuple[RunCost, list[str], float]:
    """Rehearse a run that has something to do.

    Args:
        config: of the run.
        until: its last stage.

    Returns:
        Its cost, notes on it, and the seconds that the rehearsal took.

    Raises:
        PipelineError: what the run itself would say of its configuration, data or models.
        RuntimeError: the rehearsal broke; a defect of ours.
    """
    clock = time.perf_counter()
    asked = json.dumps({"config": config.model_dump_json(), "until": until})
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
                said, complaint = child.communicate(asked)
            except BaseException:
                child.terminate()
                with suppress(subprocess.TimeoutExpired):
                    child.wait(10)
                child.kill()
                raise
    if child.returncode:
        raise RuntimeError(f"the rehearsal left with {child.returncode}: {complaint[-SHOWN_ERROR:]}")
    found = json.loads(said)
    if "error" in found:
        raise _mistake(found["exit_code"])(found["error"])
    stages = tuple(StageCost(**stage) for stage in found["stages"])
    return RunCost(stages, found["start_seconds"]), found["notes"], time.perf_counter() - clock


def _environment() -> dict[str, str]:
    """That of this process, in which the same code is found."""
    places = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}


def _mistake(exit_code: int) -> type[PipelineError]:
    """The family of mistakes that leaves with an exit code."""
    kinds = (kind for kind in PipelineError.__subclasses__() if kind.exit_code == exit_code)
    return next(kinds, PipelineError)


def told(cost: RunCost, notes: list[str], rehearsal_seconds: float) -> dict[str, Any]:
    """The cost as a script would read it: seconds and bytes."""
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
    """The cost as a person would read it."""
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


def duration(seconds: float) -> str:
    """Seconds as a person says them: ``0.4 s``, ``95 s``, ``12 min``, ``2 h 10 min``, ``3 d 4 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    minutes = round(seconds / MINUTE)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(seconds / HOUR)
    return f"{hours // 24} d {hours % 24} h"


def size(count: float) -> str:
    """Bytes as a person says them: ``0``, ``12 kB``, ``3.4 MB``, ``1.58 GB``."""
    for unit, worth, digits in (("TB", 1e12, 2), ("GB", 1e9, 2), ("MB", 1e6, 1), ("kB", 1e3, 0)):
        if count >= worth:
            return f"{count / worth:.{digits}f} {unit}"
    return f"{count:.0f}" + (" B" if count >= 1 else "")
