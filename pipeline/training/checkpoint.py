"""A checkpoint is everything a run needs to go on as if it had never stopped.

Tensors lie in one safetensors file, the rest in JSON; nothing is pickled. A checkpoint is written
beside its final name and renamed, so a half-written one never exists; the last two are kept.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

KEPT = 2


def save_checkpoint(folder: Path, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> Path:
    """Write ``folder/step-00000123`` atomically and remove all but the last two."""
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"step-{step:08d}"
    partial = folder / f".partial-{step:08d}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial / "tensors.safetensors")
    (partial / "state.json").write_text(json.dumps({"step": step, **state}))
    for path in (*partial.iterdir(), partial):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    for old in sorted(folder.glob("step-*"))[:-KEPT]:
        shutil.rmtree(old)
    return final


def latest_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The newest checkpoint's tensors and state; None when there is none."""
    found = sorted(folder.glob("step-*"))
    if not found:
        return None
    state = json.loads((found[-1] / "state.json").read_text())
    return load_file(found[-1] / "tensors.safetensors"), state


def module_tensors(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """A module's weights, shared ones once, copied to the CPU."""
    seen: set[int] = set()
    tensors = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            tensors[f"{prefix}{name}"] = tensor.detach().to("cpu", copy=True)
    return tensors


def load_module(prefix: str, module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put weights written by ``module_tensors`` back."""
    own = module.state_dict(keep_vars=True)
    with torch.no_grad():
        for name, tensor in own.items():
            if f"{prefix}{name}" in tensors:
                tensor.copy_(tensors[f"{prefix}{name}"])


def optimizer_tensors(prefix: str, optimizer: Optimizer) -> dict[str, Tensor]:
    """An optimizer's state by parameter number."""
    return {
        f"{prefix}{number}.{key}": value.detach().to("cpu", copy=True)
        for number, entries in optimizer.state_dict()["state"].items()
        for key, value in entries.items()
        if isinstance(value, Tensor)
    }


def load_optimizer(prefix: str, optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put state written by ``optimizer_tensors`` back."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            number, key = name.removeprefix(prefix).split(".", 1)
            state.setdefault(int(number), {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
