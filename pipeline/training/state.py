"""The state of a training: learners, optimizers, loss curves, dev scores and best weights.

All of it is saved in a checkpoint at any step, and restored exactly.
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

MOMENTS = 2  # AdamW keeps two moments of each weight


@dataclass
class History:
    """The loss curve and the dev scores of one learner.

    Attributes:
        curve: one entry a logging interval: step, learning_rate, loss and each term, averaged over the interval.
        scores: (step, dev score) at each evaluation.
        best: the best dev score so far, None before the first evaluation.
    """

    curve: list[dict[str, float]] = field(default_factory=list)
    scores: list[tuple[int, float]] = field(default_factory=list)
    best: float | None = None


@dataclass
class State:
    """Everything that a killed training needs to continue, except the seed and the data.

    Attributes:
        learners: learner name -> module, not wrapped for any device.
        optimizers: learner name -> optimizer.
        step: number of steps taken.
        histories: learner name -> loss curve and dev scores.
        sums: learner name -> loss and terms, summed since the last entry of the curve.
        best: weights at the best dev score, named as by ``module_tensors``.
        clock: seconds by use, and counts.
        updating: whether a step is being applied, so that weights, curves and scores do not belong together.
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
        """Begin a step: copy the buffers, which its forward passes may change."""
        self._buffers = [(each, each.clone()) for learner in self.learners.values() for each in learner.buffers()]
        self.updating = False

    def rewind(self) -> None:
        """Restore the buffers as they were when the step began; allowed only before the weights are updated."""
        for now, before in self._buffers:
            now.copy_(before)

    def add(self, name: str, terms: Mapping[str, float]) -> None:
        """Add the loss and terms of one step to the sums of a learner.

        Args:
            name: the learner.
            terms: "loss" and each term -> value of this step.
        """
        sums = self.sums[name]
        for term, value in terms.items():
            sums[term] = sums.get(term, 0.0) + value

    def log(self, steps: int, rate: float) -> None:
        """Append the mean over the last ``steps`` steps to every curve.

        Args:
            steps: number of steps since the last entry.
            rate: learning rate of the last of them.
        """
        for name, history in self.histories.items():
            means = {term: value / steps for term, value in self.sums[name].items()}
            history.curve.append({"step": self.step, "learning_rate": rate, **means})
            self.sums[name] = {}

    def latest(self) -> dict[str, float]:
        """Return the last logged loss and terms; with several learners each name starts with the learner's."""
        return {
            term if len(self.histories) == 1 else f"{name} {term}": value
            for name, history in self.histories.items()
            for term, value in (history.curve[-1] if history.curve else {}).items()
            if term not in {"step", "learning_rate"}
        }

    def score(self, name: str, value: float) -> None:
        """Record a dev score, and keep a copy of the weights if it is the best so far.

        A score after training also replaces an equal one from before the first step.

        Args:
            name: the learner.
            value: its dev score, higher is better.
        """
        history = self.histories[name]
        untrained = all(step == 0 for step, _ in history.scores)
        history.scores.append((self.step, value))
        if history.best is None or value > history.best or (untrained and value == history.best):
            history.best = value
            self.best.update(module_tensors(f"best.{name}.", self.learners[name]))

    def load_best(self) -> None:
        """Load the best weights into every learner that was scored."""
        for name, history in self.histories.items():
            if history.best is not None:
                load_module(f"best.{name}.", self.learners[name], self.best)

    @property
    def size(self) -> int:
        """Approximate size of a checkpoint in bytes: weights, AdamW's two moments, and the best weights so far."""
        weights = sum(each.nbytes for learner in self.learners.values() for each in learner.parameters())
        return (1 + MOMENTS) * weights + sum(tensor.nbytes for tensor in self.best.values())

    def save(self, folder: Path) -> None:
        """Write a checkpoint into a folder."""
        tensors = dict(self.best)
        for name, learner in self.learners.items():
            tensors |= module_tensors(f"model.{name}.", learner)
            tensors |= optimizer_tensors(f"optimizer.{name}.", self.optimizers[name])
        values = {
            "histories": {name: vars(history) for name, history in self.histories.items()},
            "sums": self.sums,
            "clock": self.clock.saved(),
        }
        save_checkpoint(folder, self.step, tensors, values)

    def restore(self, folder: Path) -> None:
        """Load the newest checkpoint of a folder, if there is one."""
        checkpoint = latest_checkpoint(folder)
        if checkpoint is None:
            return
        tensors, values = checkpoint
        for name, learner in self.learners.items():
            load_module(f"model.{name}.", learner, tensors)
            load_optimizer(f"optimizer.{name}.", self.optimizers[name], tensors)
            saved = values["histories"][name]
            self.histories[name] = History(
                saved["curve"], [(int(step), value) for step, value in saved["scores"]], saved["best"]
            )
        self.sums.update(values.get("sums", {}))
        self.best = {name: tensor for name, tensor in tensors.items() if name.startswith("best.")}
        for name, value in values["clock"].items():
            setattr(self.clock, name, value)
        self.step = int(values["step"])
