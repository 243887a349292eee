"""Work on a store that is ended at its n-th moment, in a child of one process that has loaded everything once.

A moment is a sign of life of the stage, or anything that is about to be created, renamed or deleted in the store.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

CHILD = """
import importlib, json, os, signal, sys, warnings
from contextlib import suppress
from pathlib import Path
import pipeline.store.digest_cache
import torch
from pipeline.config.load import load_config
from pipeline.errors import PipelineError
from pipeline.device.peak import matmul_peak
from pipeline.stages.graph import two_stage
from pipeline.store.materialize import materialize
from pipeline.store.store import Store

warnings.simplefilter("ignore")
for name in json.loads(sys.stdin.readline()):  # loaded once, not in each child
    with suppress(Exception):
        importlib.import_module(name)
torch.set_num_threads(1)
pipeline.store.digest_cache.RACY_NS = -10**20  # what is remembered, and so written, must not depend on the hour
matmul_peak(torch.device("cpu"), torch.float32)

CHANGES = {"os.rename", "os.mkdir", "os.rmdir", "os.remove"}
moments = last = 0

def moment():
    global moments
    moments += 1
    if moments == last:
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise {"stop": KeyboardInterrupt, "memory": MemoryError}[how]

def changes_the_store(event, given):
    if event == "open":
        path, _, flags = given
        if not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return False
    elif event in CHANGES:
        path = given[0]
        if given[-1] != -1:  # by a name in a folder that is open
            return True
    else:
        return False
    return isinstance(path, (str, bytes, os.PathLike)) and Path(os.fsdecode(path)).absolute().is_relative_to(store)

class Signs:
    def update(self, done, total, **fields):
        moment()
    def note(self, message):
        pass

def build(name):
    config = load_config("tiny.yaml", [])
    (stage,) = (stage for stage in two_stage(config) if stage.name == name)
    materialize(stage, Store(config.runtime.store), config.runtime, Signs())

def prune(keep):
    Store("artifacts").prune(keep, days=0)

for line in sys.stdin:
    folder, what, argument, last, how = json.loads(line)
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(folder)
            store = Path(folder) / "artifacts"
            sys.addaudithook(lambda event, given: moment() if changes_the_store(event, given) else None)
            try:
                {"build": build, "prune": prune}[what](argument)
            except (KeyboardInterrupt, PipelineError):
                if not last:
                    raise
            os.write(theirs, str(moments).encode())
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(theirs)
    with open(ours) as reader:
        told = reader.read()
    _, status = os.waitpid(child, 0)
    died = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    print(json.dumps([died, os.waitstatus_to_exitcode(status), told]), flush=True)
"""


How = Literal["kill", "stop", "memory"]
LOADED = {"pipeline", "transformers", "accelerate", "sklearn", "scipy", "matplotlib", "tokenizers", "safetensors"}


@dataclass(frozen=True)
class Death:
    """How a child ended: the signal it died of, or 0, and the moments it lived through if it was not killed."""

    signal: int
    moments: int


class Killer:
    """Ends work at the moment it is told, by kill -9, a word to stop, or no memory; to be closed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def build(self, folder: Path, stage: str, moment: int = 0, how: How = "kill") -> Death:
        """Build a stage of the tiny run in ``folder``; ended right before that moment, never if it is 0."""
        return self._ask(folder, "build", stage, moment, how)

    def prune(self, folder: Path, keep: int, moment: int = 0) -> Death:
        """Prune its store."""
        return self._ask(folder, "prune", keep, moment)

    def close(self) -> None:
        """End."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def _ask(self, folder: Path, what: str, argument: Any, moment: int, how: How = "kill") -> Death:
        if self._process is None:
            self._process = _started()
        told, tells = self._process.stdin, self._process.stdout
        assert told is not None
        assert tells is not None
        told.write(json.dumps([str(folder), what, argument, moment, how]) + "\n")
        told.flush()
        died, code, moments = json.loads(tells.readline())
        assert died or code == 0, "the child failed; its traceback is on standard error"
        return Death(died, int(moments or 0))


def _started() -> subprocess.Popen[str]:
    """A process that has loaded what this one has: after a finished run, all that a stage needs."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        env=os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    wanted = [name for name in sys.modules if name.partition(".")[0] in LOADED and ".test" not in name]
    process.stdin.write(json.dumps(sorted(wanted)) + "\n")
    return process


def drawn(name: str, moments: int, count: int) -> list[int]:
    """Moments at random, the same in every test run."""
    return sorted(Random(name).sample(range(1, moments + 1), min(count, moments)))
