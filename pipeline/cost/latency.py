"""Share of the latencies: one timed round of each length and batch says how many there will be."""

from typing import Any

from pipeline.cost.arithmetic import StageCost
from pipeline.cost.context import RehearsalContext
from pipeline.engine.comparison import read_latency
from pipeline.evaluation.latency import WARM_UP, rounds_for
from pipeline.store.stage import Stage


def share(context: RehearsalContext, stage: Stage[Any]) -> StageCost:
    """Rehearse one round of each length and batch, and estimate the cost of all rounds."""
    done = context.rehearse(stage, stage.config.model_copy(update={"rounds": (1, 1)}))
    turns: dict[tuple[int, int], float] = {}
    for row in read_latency(done.folder)["latency"]:
        cell = (row["length"], row["batch"])
        turns[cell] = turns.get(cell, 0.0) + row["milliseconds"] / 1000
    more = sum(seconds * (rounds_for(seconds, stage.config.rounds) - 1) for seconds in turns.values())
    return context.cost(stage, done, f"{WARM_UP + 1} rounds of each length and batch", seconds=done.seconds + more)
