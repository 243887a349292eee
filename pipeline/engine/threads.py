"""Divide a CPU's cores in a training: all threads share each matrix product, or teacher and students use one each.

Threads that share a small product wait for each other hundreds of times a step. If other processes are busy, one of
the threads is often not running while the other waits, and the training nearly stops. A teacher that works one step
ahead of its students is waited for only once a step. On two cores and with small products that takes a sixth longer on
a quiet machine, and half the time or less beside other work (benchmarks/engine/contention.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from pipeline.config.runtime import Runtime
from pipeline.training.loop import Training

SMALL_WIDTH = 256  # of the widest model; measured at 192 to 84, wider ones were not
TWO_CORES = 2  # measured on two; more threads a product may gain more


def runs_ahead(runtime: Runtime, device: torch.device, widths: list[int], *, dropout: bool) -> bool:
    """Return whether teacher and students use one thread each instead of sharing every matrix product.

    Args:
        runtime: its ``num_threads`` is set if the user decided about threads.
        device: device of the training.
        widths: hidden sizes of teacher and students.
        dropout: whether the teacher's dropout is on; its random numbers then have to be drawn in order.
    """
    return (
        device.type == "cpu"
        and not dropout
        and runtime.num_threads is None
        and torch.get_num_threads() == TWO_CORES
        and max(widths) <= SMALL_WIDTH
    )


@contextmanager
def one_thread_each(training: Training, *, ahead: bool) -> Iterator[Training]:
    """Yield the training, with its teacher one step ahead and torch on one thread if ``ahead``.

    Args:
        training: the training.
        ahead: as decided by ``runs_ahead``. Torch's number of threads is restored afterwards.
    """
    if not ahead:
        yield training
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield replace(training, ahead=True)
    finally:
        torch.set_num_threads(before)
