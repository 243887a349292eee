"""The process that rehearses a run: it starts as a run starts, then runs a few rows of each stage.

``python -m flows.rehearsal FOLDER`` reads ``{"config": ..., "until": ...}`` and writes the cost, or the error, as
JSON. A separate process has the memory use of a run, and can be stopped as a whole.
"""

import json
import sys
import time
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from flows.prefect_settings import apply, why_unreachable
from pipeline.config.run import RunConfig
from pipeline.errors import PipelineError
from pipeline.store.entry import Entry
from pipeline.store.stage import Stage, by_name
from pipeline.store.store import Store


def rehearsal(asked: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Start as a run starts, rehearse, and estimate what the run would cost.

    Args:
        asked: "config", the configuration as JSON text; "until", the last stage or None.
        folder: an empty folder for all files of the rehearsal.

    Returns:
        "stages", "start_seconds" and "notes", as JSON values.
    """
    clock = time.perf_counter()
    from flows.plan import plan_run  # timed, as what else a run loads

    config, until = load_asked(asked)
    steps = plan_run(config, until)
    apply()
    if why_unreachable() is None:
        import flows.two_stage  # noqa: F401 - what a run loads
    load_libraries(stage for stage, reason in steps if reason.action != "reuse")
    start_seconds = time.perf_counter() - clock
    from pipeline.cost.run import run_cost  # it imports more than a run does

    store = Store(config.runtime.store)
    reused = by_name(stage for stage, reason in steps if reason.action == "reuse")
    finished = {name: store.get(stage).path for name, stage in reused.items()}
    found, notes = run_cost(config, steps, finished, folder)
    return {"stages": [asdict(stage) for stage in found.stages], "start_seconds": start_seconds, "notes": notes}


def load_libraries(stages: Iterable[Stage[Any]]) -> None:
    """Import what does the work of these stages, so that no rehearsal is timed with its imports."""
    for stage in stages:
        if isinstance(stage.run, Entry):
            import_module(stage.run.module)


def load_asked(asked: dict[str, Any]) -> tuple[RunConfig, str | None]:
    """Return the configuration and the last stage of a request."""
    return RunConfig.model_validate_json(asked["config"]), asked["until"]


def answer(folder: Path) -> dict[str, Any]:
    """Read a request from standard input; return the cost, or a user's mistake as "error" and "exit_code"."""
    try:
        return rehearsal(json.load(sys.stdin), folder)
    except PipelineError as error:
        return {"error": str(error), "exit_code": error.exit_code}


if __name__ == "__main__":
    with redirect_stdout(sys.stderr):
        result = answer(Path(sys.argv[1]))
    print(json.dumps(result))  # noqa: T201 - what the parent reads
