"""Memory that a training on a CPU frees is kept for its next step.

The C library hands large blocks back to the system as soon as they are freed, and each step of a training then waits
for the system to give out, and to clear, the same pages again.
"""

import ctypes

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # of mallopt(3)
NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Have this process keep what it frees; whether its C library can be told to (glibc can)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(MMAP_MAX, 0)) and bool(mallopt(TRIM_THRESHOLD, NEVER))
