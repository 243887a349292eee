"""To fan out is to have the shards of a stage made, here one after the other or wherever an engine sends them.

A shard is a number. Whoever makes it writes a file that depends on nothing but the stage and that number, so
it does not matter who makes it, when, or whether it is made twice.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

Work = Callable[[int], None]


class FanOut(Protocol):
    """Has shards made, and says which are done."""

    def __call__(self, work: Work, shards: Sequence[int]) -> Iterator[int]:
        """Call ``work`` with each of the shards; the numbers of those that are done, in any order.

        Args:
            work: can be sent to another process: a function of a module, or a ``partial`` of one.
            shards: those that are still to be made.
        """


def one_after_other(work: Work, shards: Sequence[int]) -> Iterator[int]:
    """Make the shards in this process, in order."""
    for number in shards:
        work(number)
        yield number
