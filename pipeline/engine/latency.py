"""The work of stage ``latency``: time forward passes of every model, in turns, on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from pipeline.config.models import StudentConfig
from pipeline.engine.comparison import LATENCY, compared_models, shown_cell
from pipeline.engine.machine import Machine
from pipeline.engine.run_training import placed, write_json
from pipeline.evaluation.cost import forward_flops
from pipeline.evaluation.latency import measure_latency
from pipeline.models.load import load_finetuned
from pipeline.models.source import ModelSource
from pipeline.store.stage import StageRun


def run(
    run: StageRun,
    *,
    students: tuple[StudentConfig, ...],
    same_size: dict[str, str],
    latency_lengths: tuple[int, ...],
    latency_batches: tuple[int, ...],
    rounds: tuple[int, int],
    machine: Machine,
    seed: int,
) -> None:
    """Time the models in turns, and write their times and operations.

    Args:
        run: this stage's execution; inputs ``teacher``, ``students`` and perhaps ``label_only``.
        students: the students of the run.
        same_size: student -> the first student of the same size, whose label-only twin is timed.
        latency_lengths: lengths to time, in word pieces.
        latency_batches: batch sizes to time, in rows.
        rounds: smallest and largest number of timed passes for each length and batch size.
        machine: this machine; torch uses its number of threads.
        seed: seed of the random word pieces.
    """
    models = {
        one.name: placed(load_finetuned(ModelSource(str(one.folder))), run.runtime)
        for one in compared_models(run, students, same_size)
    }
    with _threads(machine.num_threads):
        rows = measure_latency(
            models,
            latency_lengths,
            latency_batches,
            vocab_size=min(model.config.vocab_size for model in models.values()),
            seed=seed,
            against="teacher",
            rounds=rounds,
            progress=run.progress,
        )
    length, batch = shown_cell(latency_lengths, latency_batches)
    found = {
        "machine": machine.model_dump(mode="json"),
        "latency_length": length,
        "latency_batch": batch,
        "latency": rows,
        "flops": {name: forward_flops(model.config, length) for name, model in models.items()},
    }
    write_json(run.output / LATENCY, found)
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


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let torch use ``count`` threads while this block runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
