"""Small models on a shared machine: one thread is fastest, and the same everywhere; nobody waits for its device."""

import atexit
import os
import shutil
import tempfile

import torch

torch.set_num_threads(1)

# A folder of its own for each process of the suite: a lock per device would make them wait for each other.
_own = tempfile.mkdtemp(prefix="tinybert-home-")
atexit.register(shutil.rmtree, _own, ignore_errors=True)
os.environ["TINYBERT_HOME"] = _own
