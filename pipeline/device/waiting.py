"""How the threads that share a matrix product wait for each other, so that a training goes on beside other work.

Two threads meet hundreds of times a step. By default the one that comes first spins, for up to 300,000 rounds, and if
the other is not running because a third process has its core, the time slice of the first is lost too. Threads that
sleep at once lose time even on a quiet machine. So they spin for a moment and then sleep, for a shorter moment where
other processes are running as this one begins, and the kernel is asked to let them run again soon after they wake
(benchmarks/engine/contention.py).
"""

import ctypes
import os
import platform
import struct
import sys
from pathlib import Path

QUIET_ROUNDS, BUSY_ROUNDS = 5_000, 1_500  # of spinning; a thousand take a few microseconds
LOAD = Path("/proc/loadavg")
SLICE_NANOSECONDS = 100_000  # the kernel's usual slice is 3 ms
CALLS = {"x86_64": (315, 314), "aarch64": (275, 274)}  # sched_getattr, sched_setattr; no C library wraps them
ATTRIBUTES = struct.Struct("=IIQiIQQQ")  # sched_attr: size, policy, flags, nice, priority, runtime, deadline, period


def spin_briefly() -> None:
    """Let OpenMP's threads spin for a moment before they sleep; call this before torch is imported.

    Does nothing where the user decided (``OMP_WAIT_POLICY`` or ``GOMP_SPINCOUNT``), nor with another OpenMP than GNU's.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(BUSY_ROUNDS if others_run() else QUIET_ROUNDS))


def others_run() -> bool:
    """Return whether any other thread of this machine is running or waiting for a processor just now (Linux)."""
    try:
        running, _, _ = LOAD.read_text(encoding="ascii").split()[3].partition("/")
        return int(running) > 1
    except (OSError, IndexError, ValueError):  # no Linux, or one that tells less
        return False


def ask_for_short_slices() -> bool:
    """Ask the kernel for short time slices for this thread and those it will start, which brings them back soon.

    Their share of the processor stays the same. Returns whether the kernel agreed: Linux from 6.12 on does.
    """
    calls = CALLS.get(platform.machine())
    if sys.platform != "linux" or calls is None:
        return False
    system, attributes = ctypes.CDLL(None).syscall, ctypes.create_string_buffer(ATTRIBUTES.size)
    if system(calls[0], 0, attributes, ATTRIBUTES.size, 0):
        return False
    size, policy, flags, nice, priority, _slice, *rest = ATTRIBUTES.unpack(attributes.raw)
    if policy not in {os.SCHED_OTHER, os.SCHED_BATCH}:
        return False
    changed = ATTRIBUTES.pack(size, policy, flags, nice, priority, SLICE_NANOSECONDS, *rest)
    return system(calls[1], 0, changed, 0) == 0
