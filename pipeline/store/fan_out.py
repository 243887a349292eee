"""Make the shards of a stage, one after the other in this process, or in other processes.

A shard is a number. Making it writes a file that depends on nothing but the stage and that number, so it does not
matter which process makes it, when, or whether it is made twice.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

Work = Callable[[int], None]


class FanOut(Protocol):
    """A function that makes shards and yields those that are done."""

    def __call__(self, work: Work, shards: Sequence[int]) -> Iterator[int]:
        """Call ``work`` with each shard; yield the numbers of finished shards, in any order.

        Args:
            work: can be sent to another process: a function of a module, or a ``partial`` of one.
            shards: those that are still to be made.
        """


def one_after_other(work: Work, shards: Sequence[int]) -> Iterator[int]:
    """Make the shards in this process, in order."""
    for number in shards:
        work(number)
        yield number
