"""The precision a run computes in, decided before anything runs; it is part of what every training depends on.

On a GPU with native bfloat16 that is bfloat16. On a CPU it is float32 whatever the CPU: most have no bfloat16
units and would be many times slower, and results should not depend on which CPU a scheduler picked. A CPU that
has them can be told ``precision: bfloat16``.
"""

import os
import shutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config.precision import Precision
from pipeline.config.run import RunConfig

if TYPE_CHECKING:
    import torch

GPU_DEVICES = ("nvidiactl", "nvidia0", "dxg", "kfd")  # NVIDIA; NVIDIA in a guest of Windows; AMD
NO_GPU = ("", "-1")
NO_WORSE = 1.1  # measurements differ by less


def resolve(config: RunConfig) -> Precision:
    """The precision a run computes in; on a machine without a GPU torch is not loaded to tell."""
    if config.precision != "auto":
        return config.precision
    gpu = config.runtime.device != "cpu" and may_have_gpu()
    return "bfloat16" if gpu and _gpu_has_bfloat16() else "float32"


def may_have_gpu() -> bool:
    """Whether it is worth asking torch for a GPU."""
    return os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() not in NO_GPU and has_device_file()


def has_device_file() -> bool:
    """Whether the system shows a GPU, by its device file, or by its driver's program where there are no such files."""
    return any((Path("/dev") / name).exists() for name in GPU_DEVICES) or shutil.which("nvidia-smi") is not None


@cache
def _gpu_has_bfloat16() -> bool:
    import torch

    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def slow_precision(precision: Precision, device: "torch.device") -> str | None:
    """What to tell a user whose precision does not pay on this device, with the measured ratio; None if it does.

    Args:
        precision: resolved.
        device: what the models run on.
    """
    import torch

    from pipeline.evaluation.machine import matmul_peak

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
