"""One training per device: a lock of the operating system that every run of a user on this machine asks for.

It holds across deployments, flows and plain command lines, knows nothing of Prefect, and is free as soon as its
holder ends, however it ends. The processes of a team share what their leader holds.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from platform import node
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.config.own_folder import VARIABLE, own_folder
from pipeline.config.runtime import Runtime
from pipeline.errors import ConfigError
from pipeline.progress import Progress
from pipeline.store.disk import write_atomic
from pipeline.store.locks import hold
from pipeline.store.stage import Stage, StageRun
from pipeline.training.team import team

Announce = Callable[[StageRun], None]


class Holder(BaseModel):
    """Who trains: written beside the lock for people to read; the lock alone decides."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    device: str
    pid: int
    stage: str
    store: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.stage}, store {self.store})"


@contextmanager
def own_device(
    stage: Stage[Any], runtime: Runtime, progress: Progress, announce: Announce | None
) -> Iterator[Announce | None]:
    """What to call right before a stage runs: it waits for the device, if the stage needs it alone, and then announces.

    The wait comes before the announcement because whoever follows it waits inside a collective, which has a limit.

    Args:
        stage: what is about to run.
        runtime: says which device, and whether it is to be had alone.
        progress: is told who is waited for.
        announce: called once the devices are held.

    Yields:
        ``announce``, behind the wait; the devices are free again when the context ends.
    """
    if not ((stage.parallel or stage.timed) and runtime.exclusive_device):
        yield announce
        return
    with ExitStack() as held:

        def take(run: StageRun) -> None:
            for device in devices(runtime):
                holder = Holder(
                    device=device, pid=os.getpid(), stage=stage.name, store=str(Path(runtime.store).absolute())
                )
                held.enter_context(_hold(holder, progress))
            if announce is not None:
                announce(run)

        yield take


def devices(runtime: Runtime) -> tuple[str, ...]:
    """Names of the devices that this machine's processes of the team train on, always in the same order."""
    import torch

    if runtime.device == "cpu" or not torch.cuda.is_available():
        return ("cpu",)
    count = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if team().size > 1 else 1
    # By serial number: CUDA_VISIBLE_DEVICES lets two processes call the same one 0 and 1.
    return tuple(sorted(f"cuda-{torch.cuda.get_device_properties(index).uuid}" for index in range(count)))


def holders() -> list[Holder]:
    """Who trains on this machine right now."""
    found = (_read(path) for path in sorted(_folder().glob("*.json")))
    return [holder for holder in found if holder is not None and _is_held(_lock(holder.device))]


@contextmanager
def _hold(holder: Holder, progress: Progress) -> Iterator[None]:
    name, said = _lock(holder.device), _note(holder.device)

    def waiting() -> None:
        progress.note(f"waiting for the device {holder.device}: held by {_read(said) or 'another process'}")

    with ExitStack() as held:
        try:
            name.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(hold(name, waiting))
            write_atomic(said, holder.model_dump_json().encode())
        except OSError as error:
            raise ConfigError(
                f"cannot lock the device: {error.strerror} ({name.parent}); set {VARIABLE} to a folder that can be "
                "written, or runtime.exclusive_device to false"
            ) from error
        held.callback(said.unlink, missing_ok=True)
        yield


def _folder() -> Path:
    """By machine: a home may be shared by several."""
    return own_folder() / "devices" / node()


def _lock(device: str) -> Path:
    return _folder() / f"{device}.lock"


def _note(device: str) -> Path:
    return _folder() / f"{device}.json"


def _read(path: Path) -> Holder | None:
    try:
        return Holder.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError, ValidationError):
        return None


def _is_held(path: Path) -> bool:
    """Whether a living process holds the lock; one that died left its note, and no lock."""
    lock = FileLock(path, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False
