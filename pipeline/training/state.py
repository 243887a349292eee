"""A training in progress is its learners, their optimizers and what has been seen of them so far.

All of it goes into a checkpoint, at any step, and comes back as it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn
from torch.optim import Optimizer

from pipeline.training.checkpoint import (
    latest_checkpoint,
    load_module,
    load_optimizer,
    module_tensors,
    optimizer_tensors,
    save_checkpoint,
)
from pipeline.training.clock import Clock

MOMENTS = 2  # that AdamW keeps of each weight


@dataclass
class History:
    """What happened to one learner: its loss curve and its dev scores.

    Attributes:
        curve: one entry a logging interval: step, learning_rate, loss and each term, averaged over it.
        scores: (step, dev score) at each evaluation.
        best: the best dev score so far, None before the first evaluation.
    """

    curve: list[dict[str, float]] = field(default_factory=list)
    scores: list[tuple[int, float]] = field(default_factory=list)
    best: float | None = None


@dataclass
class State:
    """Everything a killed training needs to go on, beside the seed and the data.

    Attributes:
        learners: by name, not wrapped for any device.
        optimizers: of the same names.
        step: steps taken.
        histories: by learner.
        sums: each learner's loss and terms since the last entry of its curve.
        best: weights at the best dev score, as ``module_tensors`` names them.
        clock: where the time went.
        updating: whether weights, curves and scores are between two steps right now.
    """

    learners: Mapping[str, nn.Module]
    optimizers: Mapping[str, Optimizer]
    step: int = 0
    histories: dict[str, History] = field(init=False)
    sums: dict[str, dict[str, float]] = field(init=False)
    best: dict[str, Tensor] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    updating: bool = False
    _buffers: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.histories = {name: History() for name in self.learners}
        self.sums = {name: {} for name in self.learners}

    def begin(self) -> None:
        """A step begins: what its forward passes may change is remembered."""
        self._buffers = [(each, each.clone()) for learner in self.learners.values() for each in learner.buffers()]
        self.updating = False

    def rewind(self) -> None:
        """Go back to where the step began; only while nothing was updated."""
        for now, before in self._buffers:
            now.copy_(before)

    def add(self, name: str, terms: Mapping[str, float]) -> None:
        """Count the loss and the terms of one step of a learner in."""
        sums = self.sums[name]
        for term, value in terms.items():
            sums[term] = sums.get(term, 0.0) + value

    def log(self, steps: int, rate: float) -> None:
        """Append the mean over the last ``steps`` steps to every curve."""
        for name, history in self.histories.items():
            means = {term: value / steps for term, value in self.sums[name].items()}
            history.curve.append({"step": self.step, "learning_rate": rate, **means})
            self.sums[name] = {}

    def latest(self) -> dict[str, float]:
        """What was logged last: the loss and its terms, of several learners each under its name."""
        return {
            term if len(self.histories) == 1 else f"{name} {term}": value
            for name, history in self.histories.items()
            for term, value in (history.curve[-1] if history.curve else {}).items()
            if term not in {"step", "learning_rate"}
        }

    def score(self, name: str, value: float) -> None:
        """Note a dev score and keep the weights if it is the best yet; what was trained wins over an equal start."""
        history = self.histories[name]
        untrained = all(step == 0 for step, _ in history.scores)
        history.scores.append((self.step, value))
        if history.best is None or value > history.best or (untrained and value == history.best):
            history.best = value
            self.best.update(module_tensors(f"best.{name}.", self.learners[name]))

    def load_best(self) -> None:
        """Give every learner that was scored its best weights."""
        for name, history in self.histories.items():
            if history.best is not None:
                load_module(f"best.{name}.", self.learners[name], self.best)

    @property
    def size(self) -> int:
        """Bytes of a checkpoint, nearly: weights, AdamW's two moments of them, and the best ones once there are any."""
        weights = sum(each.nbytes for learner in self.learners.values() for each in learner.parameters())
        return (1 + MOMENTS) * weights + sum(tensor.nbytes for tensor in self.best.values())

    def save(self, folder: Path) -> None:
        """Write a checkpoint."""
        tensors = dict(self.best)
        for name, learner in self.learners.items():
            tensors |= module_tensors(f"model.{name}.", learner)
            tensors |= optimizer_tensors(f"optimizer.{name}.", self.optimizers[name])
        told = {
            "histories": {name: vars(history) for name, history in self.histories.items()},
            "sums": self.sums,
            "clock": self.clock.saved(),
        }
        save_checkpoint(folder, self.step, tensors, told)

    def restore(self, folder: Path) -> None:
        """Go on from the newest checkpoint there, if there is one."""
        found = latest_checkpoint(folder)
        if found is None:
            return
        tensors, told = found
        for name, learner in self.learners.items():
            load_module(f"model.{name}.", learner, tensors)
            load_optimizer(f"optimizer.{name}.", self.optimizers[name], tensors)
            saved = told["histories"][name]
            self.histories[name] = History(
                saved["curve"], [(int(step), value) for step, value in saved["scores"]], saved["best"]
            )
        self.sums.update(told.get("sums", {}))
        self.best = {name: tensor for name, tensor in tensors.items() if name.startswith("best.")}
        for name, value in told["clock"].items():
            setattr(self.clock, name, value)
        self.step = int(told["step"])
