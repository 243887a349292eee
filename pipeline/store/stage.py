"""A stage is a function from a configuration and inputs to one artifact; this file describes stages.

A stage refers to the stages it needs, so one stage holds the whole graph behind it. The graph has no cycles, and the
identity of every result is known before any stage has run.
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
    """The inputs, folders and settings of one execution of a stage's function.

    Args:
        inputs: role -> folder of an upstream artifact, or the paths of a source.
        output: folder that becomes the artifact; empty at the start.
        scratch: folder for checkpoints and shards; it still holds the files of a run that was killed.
        runtime: device, threads, checkpoints; results do not depend on it.
        progress: receives the progress.
        fan_out: makes the shards of a stage that works in shards.
        metrics: the values collected by ``record``.
    """

    inputs: Mapping[str, Path | tuple[Path, ...]]
    output: Path
    scratch: Path
    runtime: Runtime
    progress: Progress
    fan_out: FanOut = one_after_other
    metrics: dict[str, Any] = field(default_factory=dict)

    def artifact(self, role: str) -> Path:
        """Return the folder of the upstream artifact with that role.

        Raises:
            KeyError: no input has that role.
            TypeError: the input is a source.
        """
        given = self.inputs[role]
        if isinstance(given, Path):
            return given
        raise TypeError(f"input {role!r} is a source: ask for paths({role!r})")

    def paths(self, role: str) -> tuple[Path, ...]:
        """Return the files and folders of the source with that role; empty if it has only an identity.

        Raises:
            KeyError: no input has that role.
            TypeError: the input is an artifact.
        """
        given = self.inputs[role]
        if isinstance(given, Path):
            raise TypeError(f"input {role!r} is an artifact: ask for artifact({role!r})")
        return given

    def has(self, role: str) -> bool:
        """Return whether the stage has an input with that role."""
        return role in self.inputs

    def record(self, **metrics: Any) -> None:
        """Add values to the metrics in the manifest.

        Args:
            metrics: name -> JSON value; nested dicts are allowed, NaN is refused (use None).
        """
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
        cost: full name of the module that estimates its cost, by a function ``share``; empty for a stage that is short
            enough to be rehearsed whole; no part of its identity.
    """

    name: str
    version: int
    config: ConfigT
    inputs: "Mapping[str, Stage[Any] | Source]"
    run: Callable[[ConfigT, StageRun], None]
    parallel: bool = False
    timed: bool = False
    cost: str = ""

    def __post_init__(self) -> None:
        if not STAGE_NAME.fullmatch(self.name):
            raise ValueError(f"stage name {self.name!r} does not match {STAGE_NAME.pattern}: rename the stage")

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration as JSON values: what is fingerprinted and kept."""
        return self.config.model_dump(mode="json", context={IDENTITY: True})


def by_name(stages: Iterable[Stage[Any]]) -> dict[str, Stage[Any]]:
    """Return stage name -> stage, in the order of the stages.

    Raises:
        ValueError: two different stages have the same name.
    """
    named: dict[str, Stage[Any]] = {}
    for stage in stages:
        if named.setdefault(stage.name, stage) is not stage:
            raise ValueError(f"two stages of a run have the name {stage.name!r}: give one of them another")
    return named


def ancestors(stage: Stage[Any]) -> list[Stage[Any]]:
    """Return all stages that a stage needs, directly or not, each after the stages that it needs itself.

    ``stage`` is not among them. Two stage objects that describe the same work count once.
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
    """Return an identifier of a source that does not require reading it."""
    return digest_bytes(canonical([list(source.paths), source.identity]))
