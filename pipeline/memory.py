"""Memory that runs out is the user's to mend: it is said in one line, whatever library noticed it."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.errors import PipelineError

CPU_ALLOCATOR = "DefaultCPUAllocator"  # torch raises a plain RuntimeError for the CPU's memory


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: Python's, NumPy's, Arrow's, the system's, a GPU's or torch's own."""
    return (
        isinstance(error, MemoryError)
        or getattr(error, "errno", None) == errno.ENOMEM
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and CPU_ALLOCATOR in str(error))
    )


@contextmanager
def memory_errors(error_from: Callable[[str], PipelineError]) -> Iterator[None]:
    """Turn an out-of-memory error into an error that says how to mend it.

    Args:
        error_from: (first line of the library's message) -> the error to raise.
    """
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        lines = str(error).strip().splitlines()
        raise error_from(lines[0] if lines else type(error).__name__) from error
