"""The machine that times are measured on: part of their identity, and of no other result's."""

from importlib.metadata import version

from pipeline.config.base import Config
from pipeline.config.runtime import Runtime
from pipeline.device.host import host, usual_threads
from pipeline.engine.precision import may_have_gpu


class Machine(Config):
    """What a time depends on beside the model.

    Attributes:
        device: the name of the GPU, or ``cpu``.
        cpu: the name of the processor; a GPU waits for it too.
        cores: that may be used.
        num_threads: that torch computes with.
        torch: its version.
    """

    device: str
    cpu: str
    cores: int
    num_threads: int
    torch: str


def this_machine(runtime: Runtime) -> Machine:
    """This machine as a run uses it; torch is not loaded to tell, unless there may be a GPU."""
    found = host()
    return Machine(
        device=_device(runtime),
        cpu=found.cpu,
        cores=found.cores,
        num_threads=runtime.num_threads or usual_threads(),
        torch=version("torch"),
    )


def _device(runtime: Runtime) -> str:
    """The GPU's name where one is used; a GPU that is asked for and missing is the stage's to refuse."""
    if runtime.device == "cpu" or not may_have_gpu():
        return runtime.device if runtime.device == "cuda" else "cpu"
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
