"""Materialize a stage: return its artifact if there is one, else build it; a plan says which, and why.

Resuming, retrying, caching and reproducing are all this one operation. A stage that fails leaves its scratch folder
and nothing else.
"""

import time
from collections.abc import Callable, Iterable
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
from pipeline.store.compare import changes
from pipeline.store.disk import store_errors
from pipeline.store.fan_out import FanOut, one_after_other
from pipeline.store.locks import inventory
from pipeline.store.resolve import Resolver
from pipeline.store.source import Source, pinned, unpinned_note
from pipeline.store.stage import Stage, StageRun
from pipeline.store.store import Store


@dataclass(frozen=True)
class Reason:
    """What would happen to a stage, and why; the reasons are one line each, none for a reuse.

    A reason starts with its kind: ``no artifact yet``, ``configuration:``, ``input:``,
    ``code version``, ``artifact damaged:``, ``unfinished work``.
    """

    action: Literal["reuse", "resume", "run"]
    reasons: tuple[str, ...] = ()


def plan(stages: Iterable[Stage[Any]], store: Store) -> list[tuple[Stage[Any], Reason]]:
    """Say for each stage whether it would be reused, resumed or run, and why; changes nothing."""
    with store_errors(store.root):
        resolver = store.resolver()
        return [(stage, _reason(stage, store, resolver)) for stage in stages]


def _reason(stage: Stage[Any], store: Store, resolver: Resolver) -> Reason:
    if resolver.find(stage).artifact is not None:
        return Reason("reuse")
    reasons = _differences(stage, store, resolver)
    if store.work_dir(resolver.fingerprint(stage)).started(resolver.inputs(stage)):
        return Reason("resume", ("unfinished work is kept", *reasons))
    return Reason("run", tuple(reasons))


def _differences(stage: Stage[Any], store: Store, resolver: Resolver) -> list[str]:
    """Return what differs from the most similar artifact of the stage, one line each."""
    rebuilt = [
        f"input: {role} will be rebuilt"
        for role, upstream in stage.inputs.items()
        if isinstance(upstream, Stage) and resolver.find(upstream).artifact is None
    ]
    damaged = resolver.find(stage).damaged
    if damaged:
        return [*(f"artifact damaged: {error.reason}" for error in damaged), *rebuilt]
    earlier, _ = store.catalog.scan(stage.name)
    if not earlier:
        return ["no artifact yet"]
    inputs, roles = resolver.inputs(stage), set(stage.inputs)
    candidates = [
        [
            *changes(artifact.manifest, stage.version, stage.settings, inputs),
            *(f"input: {role} removed" for role in sorted(set(artifact.manifest.inputs) - roles)),
        ]
        for artifact in earlier
    ]
    return [*min(candidates, key=len), *rebuilt]  # of equals the newest: scan lists it first


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
        store.root.mkdir(parents=True, exist_ok=True)  # the digest of a large corpus is kept there
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
    with inventory(store.layout):  # from here on no process prunes the inputs of this work
        resumed = work.started(records)
        work.open(records)
        lost = [role for role, folder in folders.items() if isinstance(folder, Path) and not folder.is_dir()]
    if lost:
        raise StoreError(f"the input {' and '.join(lost)} of {stage.name} has just been pruned: run again")
    for source in stage.inputs.values():
        if isinstance(source, Source) and (note := unpinned_note(source)):
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
    records = resolver.inputs(stage)
    missing = sorted(set(stage.inputs) - set(records))
    if missing:
        raise StoreError(
            f"{stage.name} cannot run before its input {' and '.join(missing)} is there: run that stage first"
        )
    folders: dict[str, Path | tuple[Path, ...]] = {}
    for role, upstream in stage.inputs.items():
        if isinstance(upstream, Source):
            folders[role] = tuple(Path(path) for path in pinned(upstream).paths)
        elif (artifact := resolver.find(upstream).artifact) is not None:
            folders[role] = artifact.path
    return records, folders
