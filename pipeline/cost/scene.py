"""The scene of a rehearsal: the real stages, what is finished of them, and a store of its own to play them in."""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PretrainedConfig, PreTrainedModel

from pipeline.config.run import RunConfig
from pipeline.config.runtime import Runtime
from pipeline.cost.arithmetic import Machine
from pipeline.cost.rehearsal import Rehearsed, rehearse
from pipeline.engine.inputs import model_input
from pipeline.engine.run_training import placed
from pipeline.models.source import ModelSource
from pipeline.models.taps import encode
from pipeline.progress import Silent
from pipeline.store.explain import Reason
from pipeline.store.source import Source, pinned
from pipeline.store.stage import Stage, StageRun
from pipeline.store.store import Store

PROBE_ROWS, PROBE_LENGTH = 16, 32
NEVER = 1e9  # seconds


@dataclass
class Scene:
    """What the stages of a rehearsal share.

    Attributes:
        config: of the run.
        stages: the real ones, by name.
        reasons: what the run would do with each.
        store: of the rehearsal.
        machine: speed of the disk.
        artifacts: folders later stages are given: finished ones of the real store, or those of the rehearsal.
        forward_seconds: of the teacher's forward pass, a token, roughly.
        dev_share: real dev rows over those of the rehearsal.
        teacher_config: shape of the teacher.
        notes: what the reader of the figures should know.
    """

    config: RunConfig
    stages: Mapping[str, Stage[Any]]
    reasons: Mapping[str, Reason]
    store: Store
    machine: Machine
    artifacts: dict[str, Path] = field(default_factory=dict)
    forward_seconds: float = 0.0
    dev_share: float = 1.0
    teacher_config: PretrainedConfig | Any = None
    notes: list[str] = field(default_factory=list)

    @property
    def runtime(self) -> Runtime:
        """How the rehearsal runs: as the run will, without checkpoints and without stored features."""
        return self.config.runtime.model_copy(
            update={"store": str(self.store.root), "checkpoint_seconds": NEVER, "teacher_store_gb": 0.0}
        )

    @property
    def free_bytes(self) -> float:
        """Of the disk that holds the real store."""
        root = Path(self.config.runtime.store).expanduser().absolute()
        there = next(path for path in (root, *root.parents) if path.exists())
        return float(shutil.disk_usage(there).free)

    def action(self, name: str) -> str:
        """What the run would do with a stage: reuse, resume or run."""
        return self.reasons[name].action

    def wanted(self, *names: str) -> bool:
        """Whether the run would work on any of these stages."""
        return any(name in self.stages and self.action(name) != "reuse" for name in names)

    def inputs(self, name: str, **instead: Path | tuple[Path, ...] | None) -> dict[str, Path | tuple[Path, ...]]:
        """What fills each role of a stage; ``instead`` fills some otherwise, None leaves one out."""
        found: dict[str, Path | tuple[Path, ...]] = {}
        for role, given in self.stages[name].inputs.items():
            if role in instead:
                other = instead[role]
                if other is not None:
                    found[role] = other
            elif isinstance(given, Source):
                found[role] = tuple(Path(path) for path in pinned(given).paths)
            else:
                found[role] = self.artifacts[given.name]
        return found

    def rehearse(self, name: str, config: Any, **instead: Path | tuple[Path, ...] | None) -> Rehearsed:
        """Run a stage on what was made small."""
        return rehearse(self.stages[name], config, self.inputs(name, **instead), self.store, self.runtime)

    def sealed(self, name: str, make: Callable[[Path], None]) -> Path:
        """An artifact such as a stage makes, with what ``make`` puts into it."""
        stage = replace(self.stages[name], run=lambda _config, run: make(run.output))
        return rehearse(stage, stage.config, {}, self.store, self.runtime).folder

    def model(self, name: str, role: str) -> ModelSource:
        """The model that fills a role of a stage."""
        folder = self.store.root
        return model_input(StageRun(self.inputs(name), folder, folder, self.runtime, Silent()), role)

    def meet_teacher(self, model: PreTrainedModel) -> None:
        """Take the teacher's shape, and time its forward pass."""
        self.teacher_config = model.config
        self.forward_seconds = _forward_seconds(placed(model, self.runtime))


def _forward_seconds(model: PreTrainedModel) -> float:
    """Of one token, by the better of two passes after one to get warm."""
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
