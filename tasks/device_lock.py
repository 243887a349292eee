"""One training per device: a file lock that every run of a user on this machine takes.

It works across deployments, flows and plain command lines, does not depend on Prefect, and is freed as soon as the
process that holds it ends, however it ends. The processes of a team share the locks that their leader holds.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from platform import node
from typing import Any

from pydantic import BaseModel, ConfigDict

from pipeline.config.runtime import Runtime
from pipeline.config.user_dir import VARIABLE, user_dir
from pipeline.errors import ConfigError
from pipeline.progress import Progress
from pipeline.store.disk import write_atomic
from pipeline.store.locks import hold, is_free
from pipeline.store.stage import Stage, StageRun
from pipeline.training.team import team

Announce = Callable[[StageRun], None]


class DeviceHolder(BaseModel):
    """The process that trains on a device: written beside the lock for people to read; only the lock decides.

    Attributes:
        device: name of the device, "cpu" or "cuda-" and its serial number.
        pid: process number.
        stage: name of the stage that trains.
        store: folder of its store, absolute.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    device: str
    pid: int
    stage: str
    store: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.stage}, store {self.store})"


@contextmanager
def exclusive_device(
    stage: Stage[Any], runtime: Runtime, progress: Progress, announce: Announce | None
) -> Iterator[Announce | None]:
    """Let a stage that trains or measures times have its devices alone.

    Waiting comes before the announcement because the team's other processes, once they are told of the stage, wait
    for it in a collective operation, which has a time limit.

    Args:
        stage: the stage that is about to run.
        runtime: which device, and whether it is used exclusively.
        progress: receives a note naming the process that is waited for.
        announce: called once the devices are held.

    Yields:
        The function to call right before the stage runs: it waits for the devices, then calls ``announce``. The
        devices are free again when the context ends.
    """
    if not ((stage.parallel or stage.timed) and runtime.exclusive_device):
        yield announce
        return
    with ExitStack() as held:

        def take(run: StageRun) -> None:
            for device in devices(runtime):
                holder = DeviceHolder(
                    device=device, pid=os.getpid(), stage=stage.name, store=str(Path(runtime.store).absolute())
                )
                held.enter_context(_hold(holder, progress))
            if announce is not None:
                announce(run)

        yield take


def devices(runtime: Runtime) -> tuple[str, ...]:
    """Return the names of the devices that the team's processes on this machine train on, sorted.

    Args:
        runtime: which device.
    """
    import torch

    if runtime.device == "cpu" or not torch.cuda.is_available():
        return ("cpu",)
    count = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if team().size > 1 else 1
    # By serial number: CUDA_VISIBLE_DEVICES lets two processes call the same one 0 and 1.
    return tuple(sorted(f"cuda-{torch.cuda.get_device_properties(index).uuid}" for index in range(count)))


def holders() -> list[DeviceHolder]:
    """Return the processes that hold a device of this machine now."""
    notes = (_read(path) for path in sorted(_folder().glob("*.json")))
    return [holder for holder in notes if holder is not None and not is_free(_file(holder.device, "lock"))]


@contextmanager
def _hold(holder: DeviceHolder, progress: Progress) -> Iterator[None]:
    lock, note = _file(holder.device, "lock"), _file(holder.device, "json")

    def waiting() -> None:
        progress.note(f"waiting for the device {holder.device}: held by {_read(note) or 'another process'}")

    with ExitStack() as held:
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(hold(lock, waiting))
            write_atomic(note, holder.model_dump_json().encode())
        except OSError as error:
            raise ConfigError(
                f"cannot lock the device: {error.strerror} ({lock.parent}); set {VARIABLE} to a folder that can be "
                "written, or runtime.exclusive_device to false"
            ) from error
        held.callback(note.unlink, missing_ok=True)
        yield


def _folder() -> Path:
    """Return this machine's folder of device locks; several machines may share a home folder."""
    return user_dir() / "devices" / node()


def _file(device: str, suffix: str) -> Path:
    return _folder() / f"{device}.{suffix}"


def _read(path: Path) -> DeviceHolder | None:
    try:
        return DeviceHolder.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None
