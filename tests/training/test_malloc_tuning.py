"""A process that keeps the memory it frees is not given the same pages again and again."""

import subprocess
import sys

import pytest

STEPS = """
import resource
import torch
from pipeline.training.malloc_tuning import keep_freed_memory

def given_out():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(64 * 2**20 // 4)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize()

torch.set_num_threads(1)
torch.ones(8)
print(given_out())
keep_freed_memory()
given_out()  # some steps later all that they need is there
print(given_out())
keep_freed_memory()
print(given_out())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="told by glibc and getrusage")
def test_steps_are_given_their_memory_once() -> None:
    """Bytes the system gave out for twenty steps of 64 MB."""
    done = subprocess.run([sys.executable, "-c", STEPS], check=True, capture_output=True, text=True)
    before, after, again = (int(line) / 2**20 for line in done.stdout.splitlines())
    assert before > 1000
    assert after < 10
    assert again < 10
