"""What a run will cost: its stages are played in order on a few rows, and each gives its share.

What is finished costs nothing and is used as it is; what is not is rehearsed on rows drawn at random.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.config.run import RunConfig
from pipeline.cost.arithmetic import RunCost, StageCost
from pipeline.cost.context import RehearsalContext
from pipeline.cost.rehearsal import probe_disk
from pipeline.store.explain import Reason
from pipeline.store.stage import Stage, by_name
from pipeline.store.store import Store


def run_cost(
    config: RunConfig, steps: Sequence[tuple[Stage[Any], Reason]], finished: Mapping[str, Path], folder: Path
) -> tuple[RunCost, list[str]]:
    """Rehearse a run and estimate what it would cost.

    Args:
        config: configuration of the run.
        steps: its stages with what would happen to each, as ``plan`` returns them.
        finished: stage name -> folder of its artifact, for stages that would be reused.
        folder: an empty folder for all files of the rehearsal.

    Returns:
        The cost, without that of starting a process; and remarks to print beside it.

    Raises:
        PipelineError: the error that the run itself would raise for its configuration, data or models.
    """
    context = RehearsalContext(
        config,
        stages=by_name(stage for stage, _ in steps),
        actions={stage.name: reason.action for stage, reason in steps},
        store=Store(folder / "store"),
        machine=probe_disk(folder),
        artifacts=dict(finished),
    )
    context.store.root.mkdir()
    costs = [
        StageCost(stage.name, reason.action) if reason.action == "reuse" else context.cost_of(stage)
        for stage, reason in steps
    ]
    return RunCost(tuple(costs)), context.notes
