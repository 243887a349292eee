"""A training keeps the memory that its steps free, and hands it back when it is over."""

import subprocess
import sys

import pytest

STEPS = """
import resource
from pathlib import Path
import torch
from pipeline.training.heap import kept_memory

def given_out():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(64 * 2**20 // 4)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize()

def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))

torch.set_num_threads(1)
torch.ones(8)
start = held()
with kept_memory(wanted=False):
    print(given_out())
with kept_memory():
    given_out()  # some steps later all that they need is there
    print(given_out())
print(given_out())
print(held() - start)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="told by /proc and glibc")
def test_steps_are_given_their_memory_once_and_leave_none() -> None:
    """Bytes the system gave out for twenty steps of 64 MB."""
    done = subprocess.run([sys.executable, "-c", STEPS], check=True, capture_output=True, text=True)
    before, within, after, left = (int(line) / 2**20 for line in done.stdout.splitlines())
    assert before > 1000
    assert within < 10
    assert after > 1000
    assert left < 16
