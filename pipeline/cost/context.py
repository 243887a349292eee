"""The context of a rehearsal: the run's stages, the artifacts they read, and a temporary store to run them in."""

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
from pipeline.store.materialize import Reason
from pipeline.store.source import Source, pinned
from pipeline.store.stage import Stage, StageRun
from pipeline.store.store import Store

PROBE_ROWS, PROBE_LENGTH = 16, 32
NEVER = 1e9  # seconds


@dataclass
class RehearsalContext:
    """What the rehearsed stages share.

    Attributes:
        config: configuration of the run.
        stages: stage name -> the run's stage.
        reasons: stage name -> what the run would do with it and why.
        store: temporary store of the rehearsal.
        machine: measured speed of the disk.
        artifacts: stage name -> folder of its artifact, from the real store if finished there, else rehearsed.
        forward_seconds: rough seconds of the teacher's forward pass for one token; 0 until measured.
        dev_share: number of real dev rows divided by that of the rehearsal's dev rows.
        teacher_config: configuration of the teacher model.
        notes: remarks to print beside the figures.
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
        """The run's settings, without checkpoints and without cached teacher features."""
        return self.config.runtime.model_copy(
            update={"store": str(self.store.root), "checkpoint_seconds": NEVER, "teacher_store_gb": 0.0}
        )

    @property
    def free_bytes(self) -> float:
        """Free bytes of the disk that holds the real store."""
        root = Path(self.config.runtime.store).expanduser().absolute()
        there = next(path for path in (root, *root.parents) if path.exists())
        return float(shutil.disk_usage(there).free)

    def action(self, name: str) -> str:
        """Return what the run would do with a stage: "reuse", "resume" or "run"."""
        return self.reasons[name].action

    def will_run(self, *names: str) -> bool:
        """Return whether the run would compute any of these stages; unknown names count as no."""
        return any(name in self.stages and self.action(name) != "reuse" for name in names)

    def inputs(self, name: str, **instead: Path | tuple[Path, ...] | None) -> dict[str, Path | tuple[Path, ...]]:
        """Return the inputs of a stage.

        Args:
            name: name of the stage.
            instead: role -> folder to use instead; None leaves the role out.

        Returns:
            Role -> folder of an artifact, or the paths of a source.
        """
        paths: dict[str, Path | tuple[Path, ...]] = {}
        for role, given in self.stages[name].inputs.items():
            if role in instead:
                other = instead[role]
                if other is not None:
                    paths[role] = other
            elif isinstance(given, Source):
                paths[role] = tuple(Path(path) for path in pinned(given).paths)
            else:
                paths[role] = self.artifacts[given.name]
        return paths

    def rehearse(self, name: str, config: Any, **instead: Path | tuple[Path, ...] | None) -> Rehearsed:
        """Run a stage in the temporary store.

        Args:
            name: name of the stage.
            config: its configuration, shrunk for the rehearsal.
            instead: role -> folder of a shrunk input.
        """
        return rehearse(self.stages[name], config, self.inputs(name, **instead), self.store, self.runtime)

    def sealed(self, name: str, make: Callable[[Path], None]) -> Path:
        """Seal an artifact of a stage whose content is written by ``make``; return its folder.

        Args:
            name: name of the stage.
            make: (output folder) -> None, writes the files.
        """
        stage = replace(self.stages[name], run=lambda _config, run: make(run.output))
        return rehearse(stage, stage.config, {}, self.store, self.runtime).folder

    def model(self, name: str, role: str) -> ModelSource:
        """Return the location of the model that is the input ``role`` of a stage."""
        folder = self.store.root
        return model_input(StageRun(self.inputs(name), folder, folder, self.runtime, Silent()), role)

    def measure_teacher(self, model: PreTrainedModel) -> None:
        """Keep the teacher's configuration and time its forward pass."""
        self.teacher_config = model.config
        self.forward_seconds = _forward_seconds(placed(model, self.runtime))


def _forward_seconds(model: PreTrainedModel) -> float:
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
