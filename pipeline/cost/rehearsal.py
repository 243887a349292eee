"""A rehearsal is a stage run for real on a few rows, in a store of its own that is thrown away.

What is watched: how long it took, when it was how far, what it left, and how much memory the process held.
"""

import os
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from pipeline.config.runtime import Runtime
from pipeline.cost.arithmetic import Machine, Mark
from pipeline.models.taps import encode
from pipeline.progress import Silent
from pipeline.store.artifact import InputRecord, Timings
from pipeline.store.fingerprint import digest_bytes
from pipeline.store.stage import Stage, StageRun
from pipeline.store.store import Store

PROBE_BYTES = 64_000_000
PROBE_ROWS, PROBE_LENGTH = 16, 32
RESET_PEAK = "5"  # man 5 proc, clear_refs: the peak of the resident size starts again from what it is now
Folders = Mapping[str, Path | tuple[Path, ...]]


class Stopwatch(Silent):
    """Progress that remembers when a stage was how far."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self.marks: list[Mark] = []

    def update(self, done: float, total: float | None, **fields: float | str) -> None:  # noqa: ARG002
        """Note the time."""
        self.marks.append((time.perf_counter() - self._started, done))


@dataclass(frozen=True)
class Rehearsed:
    """A stage that was run on a few rows.

    Attributes:
        folder: the artifact it made.
        seconds: it took, sealing the artifact included.
        marks: when it was how far.
        metrics: it recorded.
        output_bytes: of the artifact.
        before_bytes: of memory before it began.
        peak_bytes: of memory.
    """

    folder: Path
    seconds: float
    marks: tuple[Mark, ...]
    metrics: dict[str, Any]
    output_bytes: int
    before_bytes: int
    peak_bytes: int


def rehearse(stage: Stage[Any], config: Any, inputs: Folders, store: Store, runtime: Runtime) -> Rehearsed:
    """Run a stage with a shrunk configuration on shrunk inputs.

    Args:
        stage: the real one; only its function is used, and its name.
        config: of the rehearsal.
        inputs: role -> folder of an artifact, or the paths of a source.
        store: of the rehearsal.
        runtime: how to run.
    """
    small = replace(stage, config=config)
    fingerprint = digest_bytes(f"{stage.name} {time.monotonic_ns()}".encode())
    work = store.work_dir(fingerprint)
    work.open({})
    watch = Stopwatch()
    run = StageRun(dict(inputs), work.output, work.scratch, runtime, watch)
    before = start_peak()
    began, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
    small.run(config, run)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    timings = Timings(started=began, finished=now, seconds=round(time.perf_counter() - clock, 3))
    records = {role: _record(given) for role, given in inputs.items()}
    artifact = store.commit(small, fingerprint, records, run.metrics, timings)
    return Rehearsed(
        folder=artifact.path,
        seconds=time.perf_counter() - clock,
        marks=tuple(watch.marks),
        metrics=dict(run.metrics),
        output_bytes=sum(file.size for file in artifact.manifest.files.values()),
        before_bytes=before,
        peak_bytes=peak_bytes(),
    )


def _record(given: Path | tuple[Path, ...]) -> InputRecord:
    paths = [str(path) for path in (given if isinstance(given, tuple) else (given,))]
    return InputRecord(kind="source", digest=digest_bytes(repr(paths).encode()), paths=paths)


def start_peak() -> int:
    """Let the peak of memory start anew where the system can; the resident bytes now."""
    try:
        Path("/proc/self/clear_refs").write_text(RESET_PEAK)
    except OSError:
        return peak_bytes()
    return _status("VmRSS") or peak_bytes()


def peak_bytes() -> int:
    """The most memory the process held since ``start_peak``, or since it began where that cannot be told."""
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _status(name: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), None)


def probe_disk(folder: Path) -> Machine:
    """Write a file that survives a power cut, and read it back."""
    path, data = folder / "probe", os.urandom(1 << 20) * (PROBE_BYTES >> 20)
    clock = time.perf_counter()
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    written = time.perf_counter()
    path.read_bytes()
    read = time.perf_counter()
    path.unlink()
    return Machine(write_seconds=(written - clock) / len(data), read_seconds=(read - written) / len(data))


def probe_model(model: PreTrainedModel) -> float:
    """Time a forward pass; return seconds for one token, the better of two passes after a warm-up."""
    where = next(model.parameters()).device
    pieces = torch.randint(model.config.vocab_size, (PROBE_ROWS, PROBE_LENGTH), device=where)
    batch = {"input_ids": pieces, "attention_mask": torch.ones_like(pieces, dtype=torch.bool)}
    times = []
    with torch.inference_mode():
        for _ in range(3):
            clock = time.perf_counter()
            encode(model, batch)
            if where.type == "cuda":
                torch.cuda.synchronize(where)
            times.append(time.perf_counter() - clock)
    return min(times[1:]) / pieces.numel()
