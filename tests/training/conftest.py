"""A small world to train in: noisy rows of different lengths, a learner with dropout and two terms."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.config.training import TrainingConfig
from pipeline.data.tokens.batches import BatchPlan
from pipeline.features import Moment
from pipeline.progress import Silent
from pipeline.training.loop import Training, train

LENGTHS = np.random.default_rng(0).integers(2, 8, 24).astype(np.int32)


class Learner(nn.Module):
    """Embeds tokens, drops some, and predicts their target; a tied weight, a buffer, two terms."""

    def __init__(self, seed: int, dropout: float = 0.2) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embedding = nn.Embedding(30, 6)
            self.output = nn.Linear(6, 30)
        self.output.weight = self.embedding.weight
        self.norm = nn.LayerNorm(6)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, batch: Mapping[str, Tensor], target: Tensor | None, moment: Moment) -> dict[str, Tensor]:
        self.seen += self.training
        counts = moment.counts
        hidden = self.norm(self.dropout(self.embedding(batch["input_ids"])))
        mask = batch["attention_mask"]
        logits, wanted = self.output(hidden)[mask], batch["input_ids"].roll(1, 1)[mask]
        terms = {"tokens": F.cross_entropy(logits, wanted, reduction="sum") / counts["tokens"]}
        if target is not None:
            terms["target"] = (hidden - target)[mask].square().sum() / (counts["tokens"] * 6)
        return terms


def read(rows: np.ndarray, _step: int) -> dict[str, Tensor]:
    width = int(LENGTHS[rows].max())
    ids = np.stack([np.random.default_rng(int(row)).integers(0, 30, 8) for row in rows])[:, :width]
    mask = np.arange(width) < LENGTHS[rows][:, None]
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}


def teacher(batch: dict[str, Tensor], _rows: np.ndarray) -> Tensor:
    """A teacher whose dropout is on, as the released code leaves it."""
    return F.dropout(F.one_hot(batch["input_ids"] % 6, 6).float(), 0.3, training=True)


class World:
    """Trains learners from the same start; ``weights`` are the bytes that have to agree."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = 0

    def training(self, learners: Mapping[str, nn.Module], **changed: Any) -> Training:
        made = Training(dict(learners), BatchPlan(LENGTHS, 4, 7), read, teacher)
        return replace(made, **changed)

    def train(self, training: Training, folder: Path | None = None, **options: Any) -> Any:
        self.runs += 1
        own = {"checkpoint_seconds": 1e9, "checkpoint_share": 1.0, "seed": 5, "progress": Silent()} | options
        config = own.pop("config", TrainingConfig(epochs=2, learning_rate=0.05, batch_size=4))
        return train(
            training,
            config,
            accelerator=own.pop("accelerator", None) or Accelerator(cpu=True),
            checkpoints=folder or self.folder / f"run-{self.runs}",
            **own,
        )


def weights(learner: nn.Module) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in learner.state_dict().items()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def make_learner() -> Callable[..., nn.Module]:
    return Learner


@pytest.fixture
def bytes_of() -> Callable[[nn.Module], dict[str, bytes]]:
    return weights
