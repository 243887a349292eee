"""The machine that latencies are measured on; it is part of their identity, and of no other result's."""

from importlib.metadata import version

from pipeline.config.base import Config
from pipeline.config.runtime import Runtime
from pipeline.device.host import host, usual_threads
from pipeline.engine.precision import may_have_gpu


class Machine(Config):
    """What a latency depends on, apart from the model.

    Attributes:
        device: name of the GPU, or "cpu".
        cpu: name of the processor; it matters beside a GPU too.
        cores: number of cores that may be used.
        num_threads: number of threads that torch uses.
        torch: version of torch.
    """

    device: str
    cpu: str
    cores: int
    num_threads: int
    torch: str


def this_machine(runtime: Runtime) -> Machine:
    """Describe this machine; torch is imported only if there may be a GPU.

    Args:
        runtime: device and number of threads of the run.
    """
    found = host()
    return Machine(
        device=_device(runtime),
        cpu=found.cpu,
        cores=found.cores,
        num_threads=runtime.num_threads or usual_threads(),
        torch=version("torch"),
    )


def _device(runtime: Runtime) -> str:
    """Return the name of the device; a GPU that is configured but missing is refused later, by the stage."""
    if runtime.device == "cpu" or not may_have_gpu():
        return runtime.device if runtime.device == "cuda" else "cpu"
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
