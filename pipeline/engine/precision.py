"""The precisions a run computes in, decided before anything runs; they are part of what every training depends on.

The teacher's and the students' are decided apart, so that a student more never makes the teacher another one. On a GPU
with native bfloat16 that is bfloat16, and on a CPU with units for its matrix products (AMX) where the model in question
is wide enough for it to pay. Everything else computes in float32: where bfloat16 is emulated it is many times slower,
and between narrow matrices converting takes longer than multiplying. Who schedules on machines of both kinds names the
precision, so that one does not train anew what another has finished. Of several processes the first decides for all.
"""

import os
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from pipeline.config.models import PRESETS, StudentConfig
from pipeline.config.precision import Precision
from pipeline.config.run import RunConfig
from pipeline.config.runtime import Runtime
from pipeline.device.host import host
from pipeline.errors import ConfigError
from pipeline.models.described import describe, shape_of

GPU_DEVICES = ("nvidiactl", "nvidia0", "dxg", "kfd")  # NVIDIA; NVIDIA in a guest of Windows; AMD
NO_GPU = ("", "-1")
NO_GPU_HERE = "runtime.device is 'cuda', but torch finds no GPU here: set it to auto or cpu"
CPU_UNITS = "amx_bf16"  # vector instructions alone (avx512_bf16) were not measured
CPU_WIDTH = 256  # of a model, from which bfloat16 is a fifth faster at least (benchmarks/RESULTS.md)


def teacher_precision(config: RunConfig) -> Precision:
    """What the teacher is trained and read in; the students have no say in it."""
    return _resolve(config, teacher_width(config))


def student_precision(config: RunConfig, students: Sequence[StudentConfig] | None = None) -> Precision:
    """What students are trained in together.

    Args:
        config: of the run.
        students: those that one stage trains; all of the run when None.
    """
    return _resolve(config, max(map(student_width, config.students if students is None else students), default=0))


def _resolve(config: RunConfig, width: int) -> Precision:
    """The precision of a model so wide; on a machine without a GPU torch is not loaded to tell."""
    if config.precision != "auto":
        return config.precision
    if config.runtime.device != "cpu" and may_have_gpu() and _torch_has_gpu():
        return "bfloat16" if _gpu_has_bfloat16() else "float32"
    return "bfloat16" if cpu_has_bfloat16() and width >= CPU_WIDTH else "float32"


def require_device(runtime: Runtime) -> None:
    """Refuse a GPU where there is none; on a machine without one torch is not loaded to tell.

    Raises:
        ConfigError: a GPU is asked for and there is none.
    """
    if runtime.device == "cuda" and not (may_have_gpu() and _torch_has_gpu()):
        raise ConfigError(NO_GPU_HERE)


def teacher_width(config: RunConfig) -> int:
    """How wide the teacher is; taken for wide where only a hub knows."""
    if config.pretrain is not None and config.pretrain.architecture is not None:
        return config.pretrain.architecture.hidden
    return _width_of(config.teacher.model or "")


def student_width(student: StudentConfig) -> int:
    """How wide a student is; taken for wide where only a hub knows."""
    if student.preset:
        return PRESETS[student.preset].hidden
    return student.hidden or _width_of(student.start)


def _width_of(model: str) -> int:
    return shape_of(describe(model) or {}).get("hidden", CPU_WIDTH)


def cpu_has_bfloat16() -> bool:
    """Whether the processor has units for matrix products in bfloat16."""
    return CPU_UNITS in host().instructions


def may_have_gpu() -> bool:
    """Whether it is worth asking torch for a GPU."""
    return os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() not in NO_GPU and has_device_file()


def has_device_file() -> bool:
    """Whether the system shows a GPU, by its device file, or by its driver's program where there are no such files."""
    return any((Path("/dev") / name).exists() for name in GPU_DEVICES) or shutil.which("nvidia-smi") is not None


def _torch_has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@cache
def _gpu_has_bfloat16() -> bool:
    import torch

    return torch.cuda.is_bf16_supported(including_emulation=False)
