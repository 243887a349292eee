"""Stage ``latency``: how long a forward pass of every model takes, side by side, on this machine.

It is an artifact apart from the evaluation because it alone depends on where it was made: on another machine, device
or number of threads the models are timed anew, and nothing else is.
"""

from typing import Any

from pipeline.checks.checks import Check, trains
from pipeline.config.run import RunConfig
from pipeline.engine.machine import Machine, this_machine
from pipeline.engine.student_identity import identities
from pipeline.stages.evaluation import Compared
from pipeline.stages.label_only import same_size
from pipeline.store.entry import entry
from pipeline.store.stage import Stage

ROUNDS = (20, 50)


class LatencyStage(Compared):
    """What times depend on beside the models.

    Attributes:
        rounds: timed passes of each cell, at least and at most.
    """

    latency_lengths: tuple[int, ...]
    latency_batches: tuple[int, ...]
    rounds: tuple[int, int]
    machine: Machine
    seed: int


def latency(
    config: RunConfig, teacher: Stage[Any], students: Stage[Any], label_only: Stage[Any] | None
) -> Stage[LatencyStage]:
    """The times of the models that are compared at the end of a run."""
    wanted = config.evaluation
    settings = LatencyStage(
        latency_lengths=wanted.latency_lengths,
        latency_batches=wanted.latency_batches,
        rounds=ROUNDS,
        students=identities(config.students),
        same_size=same_size(config),
        machine=this_machine(config.runtime),
        seed=config.seed,
    )
    inputs = {"teacher": teacher, "students": students}
    if label_only is not None:
        inputs["label_only"] = label_only
    return Stage(
        "latency", 1, settings, inputs, entry("pipeline.engine.latency"), timed=True, cost="pipeline.cost.latency"
    )


def checks(config: RunConfig) -> tuple[Check, ...]:
    """What shows before models are timed: a device."""
    return trains(config.runtime)
