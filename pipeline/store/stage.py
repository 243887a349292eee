"""A stage is a plain function from a configuration and inputs to one artifact; here it is only described.

Stages refer to the stages they need, so one stage holds the whole chain behind it: a graph without
cycles whose identity is known before any of it has run.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from pipeline.config.base import IDENTITY
from pipeline.config.runtime import Runtime
from pipeline.progress import Progress
from pipeline.store.fan_out import FanOut, one_after_other
from pipeline.store.fingerprint import canonical, digest_bytes, fingerprint
from pipeline.store.source import Source

STAGE_NAME = re.compile(r"[a-z][a-z0-9_]*")
ConfigT = TypeVar("ConfigT", bound=BaseModel)


@dataclass
class StageRun:
    """What a stage's function is given to work with.

    Args:
        inputs: role -> folder of an upstream artifact, or the paths of a source.
        output: folder that becomes the artifact; empty at the start.
        scratch: folder for checkpoints and shards; what a killed run left there is still there.
        runtime: how to run; never a reason for another result.
        progress: where to say how far it is.
        fan_out: has shards made, if the stage comes in shards.
        metrics: what ``record`` collected.
    """

    inputs: Mapping[str, Path | tuple[Path, ...]]
    output: Path
    scratch: Path
    runtime: Runtime
    progress: Progress
    fan_out: FanOut = one_after_other
    metrics: dict[str, Any] = field(default_factory=dict)

    def artifact(self, role: str) -> Path:
        """Folder of the upstream artifact in that role; ``KeyError`` or ``TypeError`` if it is none."""
        found = self.inputs[role]
        if isinstance(found, Path):
            return found
        raise TypeError(f"input {role!r} is a source: ask for paths({role!r})")

    def paths(self, role: str) -> tuple[Path, ...]:
        """Files and folders of the source in that role, as they were named; empty for a bare identity."""
        found = self.inputs[role]
        if isinstance(found, Path):
            raise TypeError(f"input {role!r} is an artifact: ask for artifact({role!r})")
        return found

    def has(self, role: str) -> bool:
        """Whether the stage was given an input in that role."""
        return role in self.inputs

    def record(self, **metrics: Any) -> None:
        """Keep figures in the manifest; nested dicts are fine, NaN is refused (use None)."""
        canonical(metrics)
        self.metrics.update(metrics)


@dataclass(frozen=True, eq=False)  # two stages are the same one only if they are the same object
class Stage(Generic[ConfigT]):
    """One unit of work.

    Args:
        name: ``[a-z][a-z0-9_]*``; also the name of its folder in the store.
        version: version of its code; raise it when the same input would give another result.
        config: its slice of the configuration; all of it counts for its identity.
        inputs: role -> the stage or source that fills it.
        run: the function that fills ``StageRun.output``.
        parallel: whether it trains, so that several processes may run it together; no part of its identity.
        timed: whether it measures times, which mean nothing while others train beside it; no part of its identity.
    """

    name: str
    version: int
    config: ConfigT
    inputs: "Mapping[str, Stage[Any] | Source]"
    run: Callable[[ConfigT, StageRun], None]
    parallel: bool = False
    timed: bool = False

    def __post_init__(self) -> None:
        if not STAGE_NAME.fullmatch(self.name):
            raise ValueError(f"stage name {self.name!r} does not match {STAGE_NAME.pattern}: rename the stage")

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration as JSON values: what is fingerprinted and kept."""
        return self.config.model_dump(mode="json", context={IDENTITY: True})


def by_name(stages: Iterable[Stage[Any]]) -> dict[str, Stage[Any]]:
    """The stages of a run by their names, in their order.

    Raises:
        ValueError: two have one name, so one would stand for both wherever a run is looked up by name.
    """
    found: dict[str, Stage[Any]] = {}
    for stage in stages:
        if found.setdefault(stage.name, stage) is not stage:
            raise ValueError(f"two stages of a run have the name {stage.name!r}: give one of them another")
    return found


def ancestors(stage: Stage[Any]) -> list[Stage[Any]]:
    """Every stage that ``stage`` needs, each once, each after what it needs itself; not ``stage``.

    Stages that were built twice but describe the same work count once.
    """
    shapes: dict[Stage[Any], str] = {}
    order: dict[str, Stage[Any]] = {}

    def visit(current: Stage[Any]) -> str:
        if current not in shapes:
            inputs = {role: visit(i) if isinstance(i, Stage) else _name(i) for role, i in current.inputs.items()}
            shape = fingerprint(current.name, current.version, current.settings, inputs)
            shapes[current] = shape
            order.setdefault(shape, current)
        return shapes[current]

    own = visit(stage)
    return [needed for shape, needed in order.items() if shape != own]


def _name(source: Source) -> str:
    """What tells two sources apart without reading them."""
    return digest_bytes(canonical([list(source.paths), source.identity]))
