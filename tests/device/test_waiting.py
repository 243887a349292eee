"""Threads that share a product spin briefly, and the kernel lets them run again soon, in processes of their own."""

import json
import os
import platform
import subprocess
import sys
import time

import pytest

from pipeline.device.waiting import others_run

SLICES = """
import ctypes, json, os, struct, threading
from pipeline.device import waiting
def now():
    raw = ctypes.create_string_buffer(48)
    ctypes.CDLL(None).syscall(waiting.CALLS[__import__("platform").machine()][0], 0, raw, 48, 0)
    return waiting.ATTRIBUTES.unpack(raw.raw)
os.nice(3)
before, agreed, after, child = now(), waiting.ask_for_short_slices(), now(), []
thread = threading.Thread(target=lambda: child.append(now()))
thread.start()
thread.join()
print(json.dumps([agreed, before, after, child[0]]))
"""


def spin_count(**environment: str) -> str | None:
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    code = "import os, pipeline; print(os.environ.get('GOMP_SPINCOUNT'))"
    everything = usual | environment
    done = subprocess.run([sys.executable, "-c", code], env=everything, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("environment", "rounds"),
    [({}, {"5000", "1500"}), ({"GOMP_SPINCOUNT": "7"}, {"7"}), ({"OMP_WAIT_POLICY": "ACTIVE"}, {"None"})],
    ids=["by default", "count decided", "policy decided"],
)
def test_threads_spin_briefly_unless_the_user_decided(environment: dict[str, str], rounds: set[str]) -> None:
    assert spin_count(**environment) in rounds


def test_they_spin_less_beside_other_work() -> None:
    loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        deadline = time.monotonic() + 20
        while not others_run():
            if time.monotonic() > deadline:
                pytest.skip("this machine does not say who runs")
            time.sleep(0.05)
        assert spin_count() == "1500"
    finally:
        loop.kill()
        loop.wait()


@pytest.mark.skipif(sys.platform != "linux" or platform.machine() != "x86_64", reason="slices are asked of Linux")
def test_slices_get_short_and_nothing_else_changes() -> None:
    done = subprocess.run([sys.executable, "-c", SLICES], capture_output=True, text=True, check=True)
    agreed, before, after, child = json.loads(done.stdout)
    if not before[0]:
        pytest.skip("this kernel does not say how a thread is scheduled")
    assert after == child
    assert before[3] == after[3] == 3  # nice
    assert before[:5] == after[:5]
    assert after[5] == (100_000 if agreed else before[5])
