"""Why a stage would run: what differs from the nearest artifact it ever made."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.store.compare import changes
from pipeline.store.disk import store_errors
from pipeline.store.resolve import Resolver
from pipeline.store.stage import Stage
from pipeline.store.store import Store


@dataclass(frozen=True)
class Reason:
    """What would happen to a stage, and why; the reasons are one line each, none for a reuse.

    A reason starts with its kind: ``no artifact yet``, ``configuration:``, ``input:``,
    ``code version``, ``artifact damaged:``, ``unfinished work``.
    """

    action: Literal["reuse", "resume", "run"]
    reasons: tuple[str, ...] = ()


def explain(stage: Stage[Any], store: Store) -> Reason:
    """Say whether the stage would be reused, resumed or run, and why; changes nothing."""
    with store_errors(store.root):
        return _explain(stage, store, store.resolver())


def plan(stages: Iterable[Stage[Any]], store: Store) -> list[tuple[Stage[Any], Reason]]:
    """Explain each of some stages, in the order they would run; changes nothing."""
    with store_errors(store.root):
        resolver = store.resolver()
        return [(step, _explain(step, store, resolver)) for step in stages]


def _explain(stage: Stage[Any], store: Store, resolver: Resolver) -> Reason:
    """Explain one stage with what the resolver already knows."""
    if resolver.find(stage).artifact is not None:
        return Reason("reuse")
    reasons = _reasons(stage, store, resolver)
    if store.work_dir(resolver.fingerprint(stage)).started(resolver.inputs(stage)):
        return Reason("resume", ("unfinished work is kept", *reasons))
    return Reason("run", tuple(reasons))


def _reasons(stage: Stage[Any], store: Store, resolver: Resolver) -> list[str]:
    """Why there is no artifact to reuse."""
    rebuilt = [
        f"input: {role} will be rebuilt"
        for role, given in stage.inputs.items()
        if isinstance(given, Stage) and resolver.find(given).artifact is None
    ]
    damaged = resolver.find(stage).damaged
    if damaged:
        return [*(f"artifact damaged: {error.reason}" for error in damaged), *rebuilt]
    earlier, _ = store.catalog.scan(stage.name)
    if not earlier:
        return ["no artifact yet"]
    inputs = resolver.inputs(stage)
    candidates = []
    for artifact in earlier:
        lines = changes(artifact.manifest, stage.version, stage.settings, inputs)
        lost = set(artifact.manifest.inputs) - set(stage.inputs)
        candidates.append([*lines, *(f"input: {role} removed" for role in sorted(lost))])
    return [*min(candidates, key=len), *rebuilt]  # of equals the newest: scan lists it first
