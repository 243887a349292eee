"""Memory that a step of a training on a CPU frees is kept for the next one.

The C library hands large blocks back to the system as soon as they are freed, and each step then waits for the system
to give out, and to clear, the same pages again.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # of mallopt(3)
NEVER = 2**31 - 1
USUAL = {TRIM_THRESHOLD: 128 * 1024, MMAP_MAX: 65_536}


@contextmanager
def kept_memory(*, wanted: bool = True) -> Iterator[None]:
    """Have this process keep what it frees until the end of the block, and hand it back then.

    Args:
        wanted: False changes nothing, and neither does a C library that cannot be told to (glibc can).
    """
    library = ctypes.CDLL(None)
    mallopt = getattr(library, "mallopt", None)
    if not wanted or mallopt is None:
        yield
        return
    mallopt(MMAP_MAX, 0)
    mallopt(TRIM_THRESHOLD, NEVER)
    try:
        yield
    finally:
        for parameter, value in USUAL.items():
            mallopt(parameter, value)
        library.malloc_trim(0)
