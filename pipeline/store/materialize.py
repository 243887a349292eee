"""Materialize a stage: return its artifact if there is one, else build it.

Resuming, retrying, caching and reproducing are all this one operation. A stage that fails leaves its scratch folder
and nothing else.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pipeline.config.runtime import Runtime
from pipeline.errors import DataError, PipelineError, StoreError
from pipeline.memory import memory_errors
from pipeline.progress import Progress, Silent
from pipeline.store.artifact import Artifact, InputRecord, Timings
from pipeline.store.disk import store_errors
from pipeline.store.explain import Reason, explain, plan
from pipeline.store.fan_out import FanOut, one_after_other
from pipeline.store.locks import inventory
from pipeline.store.source import Source, pinned, unpinned_note
from pipeline.store.stage import Stage, StageRun, ancestors
from pipeline.store.store import Store

__all__ = ["Outcome", "Reason", "ancestors", "explain", "materialize", "plan"]


@dataclass(frozen=True)
class Outcome:
    """The result of materializing a stage.

    Attributes:
        artifact: the stage's artifact.
        state: "reused" if it existed, "resumed" if an earlier attempt had done part of the work, else "completed".
        seconds: how long this call took.
    """

    artifact: Artifact
    state: Literal["reused", "resumed", "completed"]
    seconds: float


def materialize(
    stage: Stage[Any],
    store: Store,
    runtime: Runtime,
    progress: Progress | None = None,
    announce: Callable[[StageRun], None] | None = None,
    fan_out: FanOut = one_after_other,
) -> Outcome:
    """Return the stage's artifact, running the stage only if there is none.

    If two processes call this at once, one runs the stage; the other waits and reuses the artifact.

    Args:
        stage: the stage.
        store: the store of its artifact.
        runtime: device, threads, checkpoints; results do not depend on it.
        progress: receives the stage's progress.
        announce: called right before the stage's function runs, and only if it runs, with that function's ``run``.
        fan_out: makes the shards of a stage that works in shards.

    Raises:
        StoreError: an upstream stage has no artifact, or the store cannot be written.
        DataError: a source is missing, or changed while the stage ran.
        PipelineError: memory ran out.
    """
    started = time.monotonic()
    progress = progress or Silent()
    with store_errors(store.root), memory_errors(partial(_starved, stage.name)):
        store.root.mkdir(parents=True, exist_ok=True)  # what is read first, a large corpus, is remembered there
        artifact = _claimed(stage, store, progress)
        state: Literal["reused", "resumed", "completed"] = "reused"
        if artifact is None:
            fingerprint = store.fingerprint(stage)
            with store.lock(stage, fingerprint, progress):
                artifact = _claimed(stage, store, progress)
                if artifact is None:
                    artifact = _build(stage, fingerprint, store, runtime, progress, announce, fan_out)
                    store.claim(artifact)
                    state = "resumed" if artifact.manifest.timings.resumed else "completed"
    return Outcome(artifact, state, time.monotonic() - started)


def _claimed(stage: Stage[Any], store: Store, progress: Progress) -> Artifact | None:
    """Find the stage's artifact and protect it from pruning; None if there is none, or it was just pruned."""
    artifact = store.find(stage, progress)
    return artifact if artifact is not None and store.claim(artifact) else None


def _build(
    stage: Stage[Any],
    fingerprint: str,
    store: Store,
    runtime: Runtime,
    progress: Progress,
    announce: Callable[[StageRun], None] | None,
    fan_out: FanOut,
) -> Artifact:
    """Run the stage and commit its output; the caller holds its lock."""
    records, folders = _inputs(stage, store)
    work = store.work_dir(fingerprint)
    with inventory(store.layout):  # from here on nobody prunes what the work says it needs
        resumed = work.started(records)
        work.open(records)
        lost = [role for role, found in folders.items() if isinstance(found, Path) and not found.is_dir()]
    if lost:
        raise StoreError(f"the input {' and '.join(lost)} of {stage.name} has just been pruned: run again")
    for given in stage.inputs.values():
        if isinstance(given, Source) and (note := unpinned_note(given)):
            progress.note(note)
    run = StageRun(folders, work.output, work.scratch, runtime, progress, fan_out)
    if announce is not None:
        announce(run)
    began, clock = datetime.now(UTC), time.monotonic()
    stage.run(stage.config, run)
    timings = Timings(
        started=began.isoformat(timespec="seconds"),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - clock, 3),
        resumed=resumed,
    )
    if store.fingerprint(stage) != fingerprint:
        work.drop()  # its scratch mixes the old input with the new
        raise DataError(f"an input of {stage.name} changed while it ran: leave the files alone and run again")
    return store.commit(stage, fingerprint, records, run.metrics, timings)


def _starved(stage: str, reason: str) -> PipelineError:
    return PipelineError(
        f"{stage} ran out of memory ({reason}): free some and run again, or use a machine with more; "
        "what is done is kept"
    )


def _inputs(stage: Stage[Any], store: Store) -> tuple[dict[str, InputRecord], dict[str, Path | tuple[Path, ...]]]:
    """Return the inputs by role: records for the manifest, and folders for the stage's function."""
    resolver = store.resolver()
    records, artifacts = resolver.inputs(stage), resolver.artifacts(stage)
    missing = sorted(set(stage.inputs) - set(records))
    if missing:
        raise StoreError(
            f"{stage.name} cannot run before its input {' and '.join(missing)} is there: run that stage first"
        )
    folders: dict[str, Path | tuple[Path, ...]] = {role: found.path for role, found in artifacts.items()}
    for role, given in stage.inputs.items():
        if isinstance(given, Source):
            folders[role] = tuple(Path(path) for path in pinned(given).paths)
    return records, folders
