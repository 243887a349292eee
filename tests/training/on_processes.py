"""Trains the small world's learners; started once, or once a process by torchrun.

Arguments: folder of the checkpoints, file for what came of it, whether to kill the last process at a step.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from conftest import LENGTHS, Learner, World, read, weights
from torch import Tensor, nn

from pipeline.config.training import TrainingConfig
from pipeline.data.tokens.batches import BatchPlan
from pipeline.training.loop import Training
from pipeline.training.team import join


def train(folder: Path, result: Path, kill_at: int | None) -> None:
    torch.set_num_threads(1)
    learners: dict[str, nn.Module] = {name: Learner(seed, dropout=0.0) for name, seed in (("a", 1), ("b", 2))}
    own = join()
    accelerator = Accelerator(cpu=True)
    last = accelerator.process_index == accelerator.num_processes - 1

    def reading(rows: np.ndarray, pass_number: int) -> dict[str, Tensor]:
        if pass_number == kill_at and last and accelerator.num_processes > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(rows, pass_number)

    def target(batch: dict[str, Tensor], _rows: Any) -> Tensor:
        return torch.nn.functional.one_hot(batch["input_ids"] % 6, 6).float()

    # 24 rows in batches of 5: the last has fewer rows than a step shared by three would need.
    training = Training(
        learners,
        BatchPlan(LENGTHS, 5, 7, max_tokens=None),
        reading,
        target,
        score=lambda learner: -abs(float(learner.embedding.weight.detach().norm()) - 14),
        evaluations_per_epoch=2,
    )
    config = TrainingConfig(epochs=3, learning_rate=0.05, batch_size=5, gradient_accumulation=2, max_grad_norm=0.5)
    gradients: list[list[float]] = []
    clip = accelerator.clip_grad_norm_

    def noting(parameters: Any, limit: float) -> Any:
        parameters = list(parameters)
        gradients.append([float(parameter.grad.double().sum()) for parameter in parameters])
        return clip(parameters, limit)

    accelerator.clip_grad_norm_ = noting
    histories, speed = World(folder).train(
        training, folder, config=config, checkpoint_seconds=0, checkpoint_share=1.0, accelerator=accelerator
    )
    hexes = {name: {key: value.hex() for key, value in weights(learner).items()} for name, learner in learners.items()}
    curves = {name: vars(history) for name, history in histories.items()}
    found = gather_object([{"weights": hexes, "gradients": gradients, "curves": curves}])
    if accelerator.is_main_process:
        result.write_text(json.dumps({"processes": found, "tokens": speed["real_tokens"], "steps": speed["steps"]}))
    own.part()


if __name__ == "__main__":
    train(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None)
