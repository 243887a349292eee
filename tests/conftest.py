"""Small models on a shared machine: one thread is fastest, nobody waits for its device, and no test is timed."""

import atexit
import os
import shutil
import sys
import tempfile

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# A folder of its own for each process of the suite: a lock per device would make them wait for each other.
_own = tempfile.mkdtemp(prefix="tinybert-home-")
atexit.register(shutil.rmtree, _own, ignore_errors=True)
os.environ["TINYBERT_HOME"] = _own


@pytest.fixture(autouse=True)
def _patience_of_a_process_of_its_own() -> None:
    """A command ends its process if its server was silent for long; the server of another test is not its own."""
    if (module := sys.modules.get("tasks.patience")) is not None:
        module.patience.__init__()
