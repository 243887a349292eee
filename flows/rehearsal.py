"""The process in which a run is rehearsed: a run's own, up to the first stage, then a few rows of each.

``python -m flows.rehearsal FOLDER`` reads ``{"config": ..., "until": ...}`` and answers with JSON, the cost or
what is wrong. A process of its own has the memory that a run has, and can be stopped as a whole.
"""

import json
import sys
import time
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flows.prefect_settings import apply, why_unreachable
from pipeline.config.run import RunConfig
from pipeline.cost.libraries import load_libraries
from pipeline.errors import PipelineError
from pipeline.store.stage import by_name
from pipeline.store.store import Store


def rehearsal(asked: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Start as a run starts, rehearse, and say what the run would cost.

    Args:
        asked: config, the configuration as JSON text; until, the last stage or None.
        folder: an empty one for everything that is written.

    Returns:
        stages, start_seconds, notes.
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


def load_asked(asked: dict[str, Any]) -> tuple[RunConfig, str | None]:
    """The configuration and the last stage that were asked for."""
    return RunConfig.model_validate_json(asked["config"]), asked["until"]


def answer(folder: Path) -> dict[str, Any]:
    """What the rehearsal says, a user's mistake included."""
    try:
        return rehearsal(json.load(sys.stdin), folder)
    except PipelineError as error:
        return {"error": str(error), "exit_code": error.exit_code}


if __name__ == "__main__":
    with redirect_stdout(sys.stderr):
        said = answer(Path(sys.argv[1]))
    print(json.dumps(said))  # noqa: T201 - what the parent reads
