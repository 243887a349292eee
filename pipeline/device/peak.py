"""The measured speed of large matrix products, which bounds every training step; and the GPUs of this machine."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from time import perf_counter

import torch
from torch import Tensor

MEASURED_SECONDS, MEASURED_RUNS = 0.1, 3
LONGEST_SECONDS = 1.0  # on devices that are slow at it
SIZES = {"cpu": 1024, "cuda": 8192}  # a GPU is not filled by less
OTHER_SIZE = 2048


def matmul_peak(device: torch.device | str, dtype: torch.dtype) -> float:
    """Measure a large square matrix product, once a process, and return the best of several speeds.

    Args:
        device: the device to measure.
        dtype: type of the factors; float32 is computed as torch is set to, with TF32 or without.

    Returns:
        Floating-point operations a second, a multiply-add counting as two; on a CPU with all of torch's threads.
    """
    device = torch.device(device)
    return _matmul_peak(device, dtype, torch.get_num_threads() if device.type == "cpu" else 0)


@cache
def _matmul_peak(device: torch.device, dtype: torch.dtype, _threads: int) -> float:
    size = SIZES.get(device.type, OTHER_SIZE)
    generator = torch.Generator(device).manual_seed(0)  # what a caller draws later must not depend on this
    left, right = (torch.randn(size, size, generator=generator, device=device).to(dtype) for _ in range(2))
    out = torch.empty(size, size, device=device, dtype=dtype)

    def product() -> None:
        torch.mm(left, right, out=out)

    with torch.inference_mode():
        return 2 * size**3 / best_seconds(product, out)


def best_seconds(run: Callable[[], object], result: Tensor) -> float:
    """Return the shortest time of several runs, after one to warm up; slow functions run less often.

    Args:
        run: the function to time.
        result: a tensor on the device that it runs on, so that the device can be waited for.
    """
    times: list[float] = []
    while len(times) < 1 + MEASURED_RUNS or sum(times[1:]) < MEASURED_SECONDS:
        started = perf_counter()
        run()
        if result.device.type == "cuda":
            torch.cuda.synchronize(result.device)
        times.append(perf_counter() - started)
        if len(times) > 1 and sum(times) > LONGEST_SECONDS:
            break
    return min(times[1:])


@dataclass(frozen=True)
class Gpu:
    """A GPU that torch can use: its name, compute capability as in ``9.0``, and memory."""

    name: str
    capability: str
    memory_bytes: int


def gpus() -> tuple[Gpu, ...]:
    """Return the GPUs that torch can use, in its order."""
    properties = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return tuple(Gpu(gpu.name, f"{gpu.major}.{gpu.minor}", gpu.total_memory) for gpu in properties)


def products_library() -> str:
    """Return the names of the libraries that multiply matrices on the CPU."""
    libraries = {"MKL": torch.backends.mkl, "oneDNN": torch.backends.mkldnn}
    return " and ".join(name for name, library in libraries.items() if library.is_available()) or "another BLAS"
