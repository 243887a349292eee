"""The engine a training stage runs on: threads, device, precision, and the loop with its checkpoints."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pipeline.config.runtime import Runtime
from pipeline.config.training import TrainingConfig
from pipeline.errors import ConfigError
from pipeline.store.stage import StageRun

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator
    from transformers import PreTrainedModel

    from pipeline.training.loop import History, Training


def accelerator(runtime: Runtime) -> "Accelerator":
    """An accelerator on the wanted device, in float32.

    Raises:
        ConfigError: a GPU is asked for and there is none.
    """
    import torch
    from accelerate import Accelerator

    if runtime.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("runtime.device is 'cuda', but torch finds no GPU here: set it to auto or cpu")
    if runtime.num_threads:
        torch.set_num_threads(runtime.num_threads)
    return Accelerator(cpu=runtime.device == "cpu", mixed_precision="no")


def describe_device(runtime: Runtime) -> dict[str, str | int]:
    """What a result was computed on: the device, and the threads torch used."""
    import torch

    where = device(runtime)
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else where.type
    return {"device": name, "threads": torch.get_num_threads()}


def device(runtime: Runtime) -> "torch.device":
    """The device that models which are only read from run on."""
    return accelerator(runtime).device


def placed(model: "PreTrainedModel", runtime: Runtime) -> "PreTrainedModel":
    """A model that is only read from, on its device, without dropout."""
    from torch import nn

    return cast("PreTrainedModel", nn.Module.to(model, device(runtime)).eval())


def fit(
    training: "Training", config: TrainingConfig, run: StageRun, *, seed: int, name: str = "training"
) -> dict[str, "History"]:
    """Train with this stage's checkpoints and progress; histories and speed are kept with the artifact.

    Args:
        training: what is trained on what.
        config: how.
        run: the stage that asks.
        seed: of row order and dropout.
        name: of this training, where a stage does several.
    """
    from pipeline.training.loop import train

    histories, speed = train(
        training,
        config,
        seed=seed,
        accelerator=accelerator(run.runtime),
        checkpoints=run.scratch / name,
        checkpoint_seconds=run.runtime.checkpoint_seconds,
        progress=run.progress,
    )
    run.record(**{f"{name}_speed": speed}, **describe_device(run.runtime))
    write_json(
        run.output / f"{name}_history.json",
        {learner: asdict(history) for learner, history in histories.items()},
    )
    return histories


def write_json(path: Path, value: Any) -> None:
    """JSON that a person can read."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
