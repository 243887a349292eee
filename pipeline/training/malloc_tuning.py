"""Let glibc's malloc keep the memory that a training step on a CPU frees, for the next step.

By default the C library returns large blocks to the system as soon as they are freed, and every step then waits for
the system to provide and clear the same pages again.
"""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # of mallopt(3)
NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Let this process keep the memory it frees until it ends; does nothing if the C library has no mallopt.

    glibc has it. The setting cannot be undone: glibc then no longer adapts its thresholds, and with its initial ones
    a later training would be slower than if this had never been called.
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    mallopt = getattr(library, "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_MAX, 0)
        mallopt(TRIM_THRESHOLD, NEVER)
