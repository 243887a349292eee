"""Stage ``export_latency``: how fast the files of a bundle answer on this machine, beside the same model in torch.

Apart from the bundle, because it alone depends on where it was made.
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.config.base import Config
from pipeline.config.runtime import Runtime
from pipeline.engine.machine import Machine, this_machine
from pipeline.store.entry import entry
from pipeline.store.stage import Stage

NAME = "export_latency"
RESULT = "latency.json"
ROUNDS = (20, 50)
LENGTHS, BATCHES = (16, 64, 128), (1, 32)


class ExportLatencyStage(Config):
    """What the times depend on beside the bundle.

    Attributes:
        lengths: word pieces a row; those that the bundle would cut are left out, if all, its own longest is taken.
        batches: rows a forward pass.
        rounds: timed passes of each cell, at least and at most.
        onnxruntime: its version.
    """

    lengths: tuple[int, ...]
    batches: tuple[int, ...]
    rounds: tuple[int, int]
    machine: Machine
    onnxruntime: str
    seed: int


def export_latency(
    bundle: Stage[Any],
    runtime: Runtime,
    *,
    lengths: tuple[int, ...] = LENGTHS,
    batches: tuple[int, ...] = BATCHES,
    rounds: tuple[int, int] = ROUNDS,
    seed: int = 0,
) -> Stage[ExportLatencyStage]:
    """The times of one bundle's files, on the CPU.

    Args:
        bundle: the stage ``export`` that made it.
        runtime: says the number of threads.
        lengths: word pieces a row.
        batches: rows a forward pass.
        rounds: timed passes of each cell, at least and at most.
        seed: of the word pieces and of the order in each round.
    """
    settings = ExportLatencyStage(
        lengths=lengths,
        batches=batches,
        rounds=rounds,
        machine=this_machine(runtime.model_copy(update={"device": "cpu"})),
        onnxruntime=version("onnxruntime"),
        seed=seed,
    )
    return Stage(NAME, 1, settings, {"bundle": bundle}, entry("pipeline.engine.export_latency"), timed=True)


def read_export_latency(artifact: Path) -> dict[str, Any]:
    """What the stage found: ``machine``, and ``latency``, a row for each file, length and batch."""
    found: dict[str, Any] = json.loads((artifact / RESULT).read_text(encoding="utf-8"))
    return found
