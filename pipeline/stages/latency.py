"""Stage ``latency``: how long a forward pass of every model takes, side by side, on this machine.

It is an artifact apart from the evaluation because it alone depends on where it was made: on another machine, device
or number of threads the models are timed anew, and nothing else is.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.config.run import RunConfig
from pipeline.engine.machine import Machine, this_machine
from pipeline.engine.run_training import placed, write_json
from pipeline.engine.student_identity import identities
from pipeline.stages.checks import Check, trains
from pipeline.stages.evaluation import Compared, judged
from pipeline.stages.label_only import same_size
from pipeline.store.stage import Stage, StageRun

RESULT = "latency.json"
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
    return Stage("latency", 1, settings, inputs, _run, timed=True)


def checks(config: RunConfig) -> tuple[Check, ...]:
    """What shows before models are timed: a device."""
    return trains(config.runtime)


def _run(config: LatencyStage, run: StageRun) -> None:
    from pipeline.evaluation.cost import forward_flops
    from pipeline.evaluation.latency import measure_latency
    from pipeline.models.load import load_finetuned
    from pipeline.models.source import ModelSource

    models = {
        one.name: placed(load_finetuned(ModelSource(str(one.folder))), run.runtime) for one in judged(config, run)
    }
    with _threads(config.machine.num_threads):
        rows = measure_latency(
            models,
            config.latency_lengths,
            config.latency_batches,
            vocab_size=min(model.config.vocab_size for model in models.values()),
            seed=config.seed,
            against="teacher",
            rounds=config.rounds,
            progress=run.progress,
        )
    length, batch = shown_cell(config.latency_lengths, config.latency_batches)
    found = {
        "machine": config.machine.model_dump(mode="json"),
        "latency_length": length,
        "latency_batch": batch,
        "latency": rows,
        "flops": {name: forward_flops(model.config, length) for name, model in models.items()},
    }
    write_json(run.output / RESULT, found)
    shown = [row for row in rows if (row["length"], row["batch"]) == (length, batch)]
    run.record(
        machine=found["machine"],
        milliseconds={row["model"]: row["milliseconds"] for row in shown},
        reliable=all(row["reliable"] for row in rows),
    )
    scattered = [row["model"] for row in shown if not row["reliable"]]
    if scattered:
        run.progress.note(
            f"warning: the times of {', '.join(scattered)} are scattered, as on a busy machine, and not reliable: "
            f"when it is quiet, delete {Path(run.runtime.store) / 'latency'} and run again"
        )


def shown_cell(lengths: Sequence[int], batches: Sequence[int]) -> tuple[int, int]:
    """The length and batch that the result table's latency and operations are stated for."""
    return sorted(lengths)[len(lengths) // 2], batches[0]


def read_latency(artifact: Path) -> dict[str, Any]:
    """What the stage found."""
    found: dict[str, Any] = json.loads((artifact / RESULT).read_text(encoding="utf-8"))
    return found


def timed(results: Sequence[Mapping[str, Any]], found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a result table with the time of each model, where it was timed.

    Args:
        results: of the evaluation.
        found: as ``read_latency`` gives it.
    """
    cell = (found["latency_length"], found["latency_batch"])
    shown = {row["model"]: row for row in found["latency"] if (row["length"], row["batch"]) == cell}
    return [
        {
            **result,
            "flops": found["flops"].get(result["name"]),
            "latency_ms": shown.get(result["name"], {}).get("milliseconds"),
            "speed": shown.get(result["name"], {}).get("speed"),
            "latency_reliable": shown.get(result["name"], {}).get("reliable", True),
        }
        for result in results
    ]


@contextmanager
def _threads(wanted: int) -> Iterator[None]:
    """Torch computes with so many threads meanwhile, whatever was set before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)
