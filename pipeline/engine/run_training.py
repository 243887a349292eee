"""Run the training loop for a stage: choose threads, device, precision and processes, and record the speed."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import nn
from transformers import PreTrainedModel

from pipeline.config.precision import Precision
from pipeline.config.runtime import Runtime
from pipeline.config.training import TrainingConfig
from pipeline.device.peak import matmul_peak
from pipeline.device.waiting import ask_for_short_slices
from pipeline.engine.compilation import compilation
from pipeline.engine.learner import Learner
from pipeline.engine.precision import NO_GPU_HERE
from pipeline.errors import ConfigError
from pipeline.models.precision import autocast, exact_float32
from pipeline.models.speed.compilation import compile_encoder
from pipeline.models.speed.frozen import freeze
from pipeline.store.stage import StageRun
from pipeline.training.loop import History, Training, train
from pipeline.training.malloc_tuning import keep_freed_memory
from pipeline.training.team import agree, team

NO_WORSE = 1.1  # measurements differ by less


def accelerator(runtime: Runtime, *, partly: bool = False) -> Accelerator:
    """Build the accelerator of this process on the configured device, with TF32 switched off.

    Args:
        runtime: device and number of threads.
        partly: whether the losses may not depend on some of a model's parameters.

    Raises:
        ConfigError: the configuration asks for a GPU and this machine has none.
    """
    if runtime.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(NO_GPU_HERE)
    if runtime.num_threads:
        torch.set_num_threads(runtime.num_threads)
    exact_float32()
    engine = Accelerator(
        # Left to choose, Accelerate treats several processes without GPUs as unrelated single processes.
        cpu=runtime.device == "cpu" or (team().size > 1 and not torch.cuda.is_available()),
        mixed_precision="no",  # the library has one for all its accelerators in a process; see ``run_training``
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=partly)],
    )
    if engine.device.type == "cpu":
        keep_freed_memory()
        ask_for_short_slices()
    return engine


def describe_device(runtime: Runtime) -> dict[str, str | int]:
    """Return the name of the device that computes a result, and the number of threads torch uses."""
    where = device(runtime)
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else where.type
    return {"device": name, "threads": torch.get_num_threads()}


def device(runtime: Runtime) -> torch.device:
    """Return the device for models that are not trained."""
    return accelerator(runtime).device


def placed(model: PreTrainedModel, runtime: Runtime) -> PreTrainedModel:
    """Freeze a model that is not trained, move it to the device and switch its dropout off."""
    freeze(model)
    return cast("PreTrainedModel", nn.Module.to(model, device(runtime)).eval())


def run_training(
    training: Training,
    config: TrainingConfig,
    run: StageRun,
    *,
    seed: int,
    precision: Precision,
    name: str = "training",
    keep_end: bool = False,
) -> dict[str, History]:
    """Train with this stage's checkpoints and progress; write the histories into its artifact and record the speed.

    Args:
        training: learners, batches, target and score.
        config: epochs, learning rate, schedule, gradient accumulation.
        run: the stage that trains.
        seed: seed of dropout.
        precision: number format of the matrix products.
        name: name of this training, for a stage that runs several.
        keep_end: write a checkpoint after the last step too, so that a stage which runs several trainings and is
            killed later does not repeat this one.

    Returns:
        The history of each learner, by name.
    """
    warn_of(precision, run)
    engine = accelerator(
        run.runtime,
        partly=any(isinstance(each, Learner) and each.leaves_parameters_unused for each in training.learners.values()),
    )
    compiled, why = compilation(run.runtime, engine.device)
    for learner in training.learners.values() if compiled else ():
        compile_encoder(cast("Learner", learner).model)
    histories, speed = train(
        training,
        config,
        seed=seed,
        accelerator=engine,
        checkpoints=Path(agree(str((run.scratch / name).absolute()))),
        checkpoint_seconds=run.runtime.checkpoint_seconds,
        checkpoint_share=run.runtime.checkpoint_share,
        progress=run.progress,
        autocast=lambda: autocast(precision, engine.device),
        keep_end=keep_end,
    )
    measured = (
        speed
        | share_of_peak(speed, engine, precision)
        | {
            "compiled": f"{'on' if compiled else 'off'}: {why}",
        }
    )
    run.record(**{f"{name}_speed": measured}, **describe_device(run.runtime))
    write_json(
        run.output / f"{name}_history.json",
        {learner: asdict(history) for learner, history in histories.items()},
    )
    return histories


def share_of_peak(speed: Mapping[str, float], engine: Accelerator, precision: Precision) -> dict[str, float | str]:
    """Compare a training's FLOP/s (real tokens only) with the device's measured peak for matrix products.

    Args:
        speed: measurements of the training loop, ``achieved_flops`` among them.
        engine: its device and number of processes.
        precision: number format of the matrix products.
    """
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    peak = matmul_peak(engine.device, dtype) * engine.num_processes
    return {
        "precision": precision,
        "processes": engine.num_processes,
        "matmul_peak_flops": peak,
        "share_of_peak": speed["achieved_flops"] / peak,
    }


def slow_precision(precision: Precision, device: torch.device) -> str | None:
    """Return a warning if bfloat16 is slower than float32 on this device, with the measured ratio; else None.

    Args:
        precision: number format of the matrix products, resolved (not "auto").
        device: the device that the models run on.
    """
    if precision == "float32":
        return None
    ratio = matmul_peak(device, torch.float32) / matmul_peak(device, torch.bfloat16)
    if ratio <= NO_WORSE:
        return None
    where = "CPU" if device.type == "cpu" else "GPU"
    return (
        f"precision is bfloat16, whose matrix products run {ratio:.1f}x slower than float32 on this {where}: "
        "set precision to float32 or auto"
    )


def warn_of(precision: Precision, run: StageRun) -> None:
    """Write a note to the progress if the precision is slower than float32 on this device."""
    warning = slow_precision(precision, device(run.runtime))
    if warning:
        run.progress.note(f"warning: {warning}")


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
