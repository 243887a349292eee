"""A checkpoint is everything a training needs to continue as if it had never stopped.

Tensors are in one safetensors file, the rest in JSON; nothing is pickled. A checkpoint is written under a temporary
name and renamed, so none is ever half written. The last two are kept; if the newest cannot be read, the one before it
is used.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from pipeline.store.disk import give_usual_mode

KEPT = 2


def save_checkpoint(folder: Path, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> Path:
    """Write ``folder/step-00000123`` atomically and delete all other checkpoints but the previous one.

    Args:
        folder: folder of the checkpoints; it is created.
        step: number of steps taken.
        tensors: name -> tensor.
        state: JSON values.

    Returns:
        The folder of the checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for abandoned in folder.glob(".partial-*"):
        shutil.rmtree(abandoned)
    final = folder / f"step-{step:08d}"
    partial = folder / f".partial-{step:08d}"
    partial.mkdir()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial / "tensors.safetensors")
    (partial / "state.json").write_text(json.dumps({"step": step, **state}))
    give_usual_mode(partial / "tensors.safetensors")
    for path in (*partial.iterdir(), partial):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    found = sorted(folder.glob("step-*"))
    # A checkpoint ahead of this one could not be read, or the training would have gone on from it.
    ahead = [path for path in found if path.name > final.name]
    for old in (*ahead, *found[: len(found) - len(ahead) - KEPT]):
        shutil.rmtree(old)
    return final


def latest_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read the newest checkpoint that can be read: its tensors and its state; None if there is none."""
    for path in sorted(folder.glob("step-*"), reverse=True):
        try:
            return load_file(path / "tensors.safetensors"), json.loads((path / "state.json").read_text())
        except (OSError, ValueError, SafetensorError):
            continue
    return None


def last_good(folder: Path) -> str:
    """Name the newest checkpoint, for the message of an error that stopped a training."""
    saved = sorted(path.name for path in folder.glob("step-*"))
    return f"the last good checkpoint is {saved[-1]}" if saved else "there is no checkpoint yet"


def module_tensors(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """Copy a module's weights and buffers to the CPU, shared ones once.

    Args:
        prefix: prepended to every name.
        module: the module.

    Returns:
        Prefix and name -> tensor.
    """
    seen: set[int] = set()
    tensors = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            tensors[f"{prefix}{name}"] = tensor.detach().to("cpu", copy=True)
    return tensors


def load_module(prefix: str, module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load weights returned by ``module_tensors`` into a module.

    Raises:
        KeyError: a weight is missing.
    """
    seen: set[int] = set()
    with torch.no_grad():
        for name, tensor in module.state_dict(keep_vars=True).items():
            if id(tensor) not in seen:
                seen.add(id(tensor))
                tensor.copy_(tensors[f"{prefix}{name}"])


def optimizer_tensors(prefix: str, optimizer: Optimizer) -> dict[str, Tensor]:
    """Copy an optimizer's tensors to the CPU, named by prefix, parameter number and key."""
    return {
        f"{prefix}{number}.{key}": value.detach().to("cpu", copy=True)
        for number, entries in optimizer.state_dict()["state"].items()
        for key, value in entries.items()
        if isinstance(value, Tensor)
    }


def load_optimizer(prefix: str, optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Load tensors returned by ``optimizer_tensors`` into an optimizer."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            number, key = name.removeprefix(prefix).split(".", 1)
            state.setdefault(int(number), {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
