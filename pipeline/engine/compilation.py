"""Decide whether models are compiled, from what the device supports; results do not depend on it."""

import shutil
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.config.runtime import Runtime
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    import torch

COMPILERS = ("c++", "g++", "clang++")
NO_COMPILER = f"there is no C++ compiler on the path ({', '.join(COMPILERS)}): install one, such as g++"
CAPABILITY = (7, 0)  # of the GPUs whose kernels Triton can write


class Choice(NamedTuple):
    """Whether to compile, and why, in a few words."""

    on: bool
    why: str


def compilation(runtime: Runtime, device: "torch.device") -> Choice:
    """Decide whether to compile the models that run on a device.

    Args:
        runtime: its ``compile`` is "on", "off" or "auto" (on for a GPU that supports it).
        device: the device of the models.

    Raises:
        ConfigError: ``compile`` is "on" and something that compiling needs is missing.
    """
    if runtime.compile == "off":
        return Choice(on=False, why="runtime.compile is off")
    if runtime.compile == "auto" and device.type != "cuda":
        return Choice(on=False, why="auto: compiling for a CPU takes minutes")
    missing = _missing(device)
    if runtime.compile == "on":
        if missing:
            raise _refusal(missing)
        return Choice(on=True, why="runtime.compile is on")
    return Choice(on=missing is None, why="auto: " + (missing or "the GPU and its compilers are there"))


def require_compiler(runtime: Runtime) -> None:
    """Refuse a configuration that compiles on a machine without a C++ compiler.

    A GPU that cannot compile is refused later, when the run has loaded torch.

    Args:
        runtime: the configured ``compile``.

    Raises:
        ConfigError: ``compile`` is "on" and there is no C++ compiler.
    """
    if runtime.compile == "on" and find_compiler() is None:
        raise _refusal(NO_COMPILER)


def _refusal(missing: str) -> ConfigError:
    return ConfigError(f"runtime.compile is on, but {missing}; or set runtime.compile to auto")


def find_compiler() -> str | None:
    """Return the path of the first C++ compiler on the search path, None if there is none."""
    return next((path for path in map(shutil.which, COMPILERS) if path), None)


def _missing(device: "torch.device") -> str | None:
    """Return what is missing for compiling on a device, and how to install it; None if nothing is."""
    if find_compiler() is None:
        return NO_COMPILER
    if device.type != "cuda":
        return None
    import torch

    found = torch.cuda.get_device_capability(device)
    if found < CAPABILITY:
        return f"{torch.cuda.get_device_name(device)} has capability {found[0]}.{found[1]}, below 7.0: set it to off"
    if find_spec("triton") is None:
        return "Triton is not installed: pip install triton"
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        return "the C headers of Python are not installed: install them, such as python3-dev"
    return None
