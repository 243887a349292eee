"""How a training shares out a CPU's cores: several threads a product, or one each for teacher and students.

Threads that share a small product wait for each other hundreds of times a step. Beside other work one of them is often
not running while the other waits, and the training all but stops. A teacher that is a step ahead of its students waits
for them once a step: on two cores and with small products it takes a sixth longer when all is quiet, and half the time
or less beside other work (benchmarks/engine/contention.py).
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
    """Whether teacher and students take a thread each instead of sharing every product.

    Args:
        runtime: says whether a user decided about threads.
        device: of the training.
        widths: of teacher and students.
        dropout: whether the teacher draws at random, which it must then do in turn.
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
    """The training with its teacher a step ahead and each product on one thread, if ``ahead``; threads are restored."""
    if not ahead:
        yield training
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield replace(training, ahead=True)
    finally:
        torch.set_num_threads(before)
