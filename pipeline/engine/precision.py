"""Choose the precisions of a run before anything runs; results depend on them.

Teacher and students are decided separately, so that adding a student never changes the teacher. The choice is bfloat16
on a GPU that has it natively, and on a CPU with matrix units for it (AMX) if the model is wide enough to gain from it.
Everything else uses float32: emulated bfloat16 is many times slower, and for narrow matrices converting takes longer
than multiplying. If runs are scheduled on machines of both kinds, set the precision, so that one machine does not
repeat what another has finished. Of several processes, the first decides for all.
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
    """Return the precision in which the teacher is trained and read; it does not depend on the students."""
    return _resolve(config, teacher_width(config))


def student_precision(config: RunConfig, students: Sequence[StudentConfig] | None = None) -> Precision:
    """Return the precision in which students are trained together; the widest decides.

    Args:
        config: configuration of the run.
        students: the students that one stage trains; None means all students of the run.
    """
    return _resolve(config, max(map(student_width, config.students if students is None else students), default=0))


def _resolve(config: RunConfig, width: int) -> Precision:
    """Return the precision for a model with hidden size ``width``; torch is imported only if there may be a GPU."""
    if config.precision != "auto":
        return config.precision
    if config.runtime.device != "cpu" and may_have_gpu() and _torch_has_gpu():
        return "bfloat16" if _gpu_has_bfloat16() else "float32"
    return "bfloat16" if cpu_has_bfloat16() and width >= CPU_WIDTH else "float32"


def require_device(runtime: Runtime) -> None:
    """Refuse a configuration that asks for a GPU on a machine without one.

    Torch is imported only if there may be a GPU.

    Args:
        runtime: the configured device.

    Raises:
        ConfigError: the configuration asks for a GPU and there is none.
    """
    if runtime.device == "cuda" and not (may_have_gpu() and _torch_has_gpu()):
        raise ConfigError(NO_GPU_HERE)


def teacher_width(config: RunConfig) -> int:
    """Return the teacher's hidden size; ``CPU_WIDTH`` for a model that is described only on a hub."""
    if config.pretrain is not None and config.pretrain.architecture is not None:
        return config.pretrain.architecture.hidden
    return _width_of(config.teacher.model or "")


def student_width(student: StudentConfig) -> int:
    """Return a student's hidden size; ``CPU_WIDTH`` if it starts from a model described only on a hub."""
    if student.preset:
        return PRESETS[student.preset].hidden
    return student.hidden or _width_of(student.start)


def _width_of(model: str) -> int:
    return shape_of(describe(model) or {}).get("hidden", CPU_WIDTH)


def cpu_has_bfloat16() -> bool:
    """Return whether the processor has units for matrix products in bfloat16."""
    return CPU_UNITS in host().instructions


def may_have_gpu() -> bool:
    """Return whether torch might find a GPU, judged without importing torch."""
    return os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() not in NO_GPU and has_device_file()


def has_device_file() -> bool:
    """Return whether the system has a GPU's device file or, where there are none, the driver's program nvidia-smi."""
    return any((Path("/dev") / name).exists() for name in GPU_DEVICES) or shutil.which("nvidia-smi") is not None


def _torch_has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@cache
def _gpu_has_bfloat16() -> bool:
    import torch

    return torch.cuda.is_bf16_supported(including_emulation=False)
