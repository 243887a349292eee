"""The engine a training stage runs on: threads, device, precision, processes, and the loop with its checkpoints."""

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
from pipeline.engine.compilation import compilation
from pipeline.engine.learner import Learner
from pipeline.engine.precision import NO_GPU_HERE
from pipeline.engine.threads import one_thread_each
from pipeline.errors import ConfigError
from pipeline.models.precision import autocast, exact_float32
from pipeline.models.speed.compilation import compile_encoder
from pipeline.models.speed.frozen import freeze
from pipeline.store.stage import StageRun
from pipeline.training.heap import keep_freed_memory
from pipeline.training.loop import History, Training, train
from pipeline.training.team import agree, team

NO_WORSE = 1.1  # measurements differ by less


def accelerator(runtime: Runtime, *, partly: bool = False) -> Accelerator:
    """An accelerator on the wanted device, where float32 is never TF32; of a team of processes each has its own.

    Args:
        runtime: where to run.
        partly: the losses may leave some parameters of a model alone.

    Raises:
        ConfigError: a GPU is asked for and there is none.
    """
    if runtime.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(NO_GPU_HERE)
    if runtime.num_threads:
        torch.set_num_threads(runtime.num_threads)
    exact_float32()
    engine = Accelerator(
        # Told auto, Accelerate takes a team without GPUs for as many lone processes.
        cpu=runtime.device == "cpu" or (team().size > 1 and not torch.cuda.is_available()),
        mixed_precision="no",  # the library has one for all its accelerators in a process; see ``fit``
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=partly)],
    )
    if engine.device.type == "cpu":
        keep_freed_memory()
    return engine


def describe_device(runtime: Runtime) -> dict[str, str | int]:
    """What a result was computed on: the device, and the threads torch used."""
    where = device(runtime)
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else where.type
    return {"device": name, "threads": torch.get_num_threads()}


def device(runtime: Runtime) -> torch.device:
    """The device that models which are only read from run on."""
    return accelerator(runtime).device


def placed(model: PreTrainedModel, runtime: Runtime) -> PreTrainedModel:
    """A model that is only read from, on its device, without dropout."""
    freeze(model)
    return cast("PreTrainedModel", nn.Module.to(model, device(runtime)).eval())


def fit(
    training: Training,
    config: TrainingConfig,
    run: StageRun,
    *,
    seed: int,
    precision: Precision,
    name: str = "training",
    keep_end: bool = False,
    ahead: bool = False,
) -> dict[str, History]:
    """Train with this stage's checkpoints and progress; histories and speed are kept with the artifact.

    Args:
        training: what is trained on what.
        config: how.
        run: the stage that asks.
        seed: of row order and dropout.
        precision: what matrix products are computed in.
        name: of this training, where a stage does several.
        keep_end: that it has ended outlives a kill too, which pays where others follow.
        ahead: teacher and students take a thread each (``threads.runs_ahead``).
    """
    warn_of(precision, run)
    engine = accelerator(
        run.runtime,
        partly=any(isinstance(each, Learner) and each.leaves_parameters_unused for each in training.learners.values()),
    )
    compiled, why = compilation(run.runtime, engine.device)
    for learner in training.learners.values() if compiled else ():
        compile_encoder(cast("Learner", learner).model)
    with one_thread_each(training, ahead=ahead) as shared:
        histories, speed = train(
            shared,
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
    told = (
        speed
        | share_of_peak(speed, engine, precision)
        | {
            "compiled": f"{'on' if compiled else 'off'}: {why}",
            "teacher_ahead": ahead,
        }
    )
    run.record(**{f"{name}_speed": told}, **describe_device(run.runtime))
    write_json(
        run.output / f"{name}_history.json",
        {learner: asdict(history) for learner, history in histories.items()},
    )
    return histories


def share_of_peak(speed: Mapping[str, float], engine: Accelerator, precision: Precision) -> dict[str, float | str]:
    """How near a training came to what its device can do; FLOP/s count real tokens only."""
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    peak = matmul_peak(engine.device, dtype) * engine.num_processes
    return {
        "precision": precision,
        "processes": engine.num_processes,
        "matmul_peak_flops": peak,
        "share_of_peak": speed["achieved_flops"] / peak,
    }


def slow_precision(precision: Precision, device: torch.device) -> str | None:
    """What to tell a user whose precision does not pay on this device, with the measured ratio; None if it does.

    Args:
        precision: resolved.
        device: what the models run on.
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
    """Say so where the precision does not pay on this device."""
    warning = slow_precision(precision, device(run.runtime))
    if warning:
        run.progress.note(f"warning: {warning}")


def write_json(path: Path, value: Any) -> None:
    """JSON that a person can read."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
