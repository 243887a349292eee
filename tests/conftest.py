"""Small models on a shared machine: one thread is fastest, nobody waits for its device, and no test is timed."""

import atexit
import os
import shutil
import tempfile

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# A folder of its own for each process of the suite: a lock per device would make them wait for each other.
_own = tempfile.mkdtemp(prefix="tinybert-home-")
atexit.register(shutil.rmtree, _own, ignore_errors=True)
os.environ["TINYBERT_HOME"] = _own
