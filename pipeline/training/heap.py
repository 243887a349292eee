"""Memory that a step on a CPU frees is kept for the next one.

The C library hands large blocks back to the system as soon as they are freed, and each step then waits for the system
to give out, and to clear, the same pages again.
"""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # of mallopt(3)
NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Have this process keep what it frees until it ends; does nothing where the C library has no mallopt (glibc has).

    There is no way back: once told, glibc no longer adapts its thresholds, and with the ones it starts from a later
    training would be slower than without any of this.
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    mallopt = getattr(library, "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_MAX, 0)
        mallopt(TRIM_THRESHOLD, NEVER)
