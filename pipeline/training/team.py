"""A team is the processes that torchrun started for one run: the first leads, the others follow its messages.

A message is a JSON value that the leader puts into torchrun's key-value store. Followers poll for it instead of
waiting in a collective operation, because the next message may be hours away (while the leader augments) and Ctrl-C
has to work meanwhile. A single process is a team too: it has no followers and agrees with itself.
"""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

ENVIRONMENT = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
POLL_SECONDS = 0.05
LEAVE_SECONDS = 30.0


class LeaderLeftError(Exception):
    """The leading process failed; it has printed its error itself."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"the leading process left with exit code {exit_code}")
        self.exit_code = exit_code


@dataclass
class Team:
    """One process's place in its team; all processes call ``agree``, ``tell`` and ``hear`` in the same order.

    Attributes:
        rank: number of this process; 0 is the leader.
        size: number of processes.
        store: key-value store of the messages; None for a single process.
        words: number of messages so far.
    """

    rank: int = 0
    size: int = 1
    store: "Store | None" = field(default=None, repr=False)
    words: int = 0

    @property
    def follows(self) -> bool:
        """Whether another process leads."""
        return self.rank > 0

    def tell(self, value: Any) -> None:
        """Send the next message; only the leader may.

        Args:
            value: a JSON value.

        Raises:
            TypeError: ``value`` cannot be written as JSON.
        """
        word = json.dumps(value)
        if self.store is not None:
            self.words += 1
            self.store.set(f"word-{self.words}", word)

    def hear(self) -> Any:
        """Wait for the leader's next message, without a time limit, and return it.

        Raises:
            LeaderLeftError: the leader failed instead.
        """
        assert self.store is not None  # noqa: S101 - a single process does not follow
        self.words += 1
        key = f"word-{self.words}"
        while not self.store.check([key]):
            if (code := self.failure()) is not None:
                raise LeaderLeftError(code)
            time.sleep(POLL_SECONDS)
        return json.loads(self.store.get(key))

    def agree(self, value: Any) -> Any:
        """Return the leader's value on every process.

        Args:
            value: this process's value, a JSON value; only the leader's is used.
        """
        if self.follows:
            return self.hear()
        self.tell(value)
        return value

    def fail(self, exit_code: int) -> None:
        """Tell the followers that the leader failed; an error is ignored, because the launcher may be gone.

        Args:
            exit_code: exit code of the leader.
        """
        if self.store is not None:
            with suppress(RuntimeError):
                self.store.set("failed", json.dumps(exit_code))

    def failure(self, within: float = 0.0) -> int | None:
        """Return the exit code of a leader that failed; None if it has not.

        Args:
            within: seconds to wait for its failure.
        """
        assert self.store is not None  # noqa: S101
        return json.loads(self.store.get("failed")) if self._until(lambda: self._there("failed"), within) else None

    def part(self) -> None:
        """Leave the team; the leader leaves last, because the store may live in its process."""
        if self.store is None:
            return
        from pipeline.training.rendezvous import leave_processes

        leave_processes()
        store, others = self.store, self.size - 1
        if self.follows:
            store.add("left", 1)
        else:
            self._until(lambda: store.add("left", 0) == others, LEAVE_SECONDS)

    def _there(self, key: str) -> bool:
        assert self.store is not None  # noqa: S101
        return bool(self.store.check([key]))

    @staticmethod
    def _until(condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until the condition is true; return whether it was within ``seconds``."""
        end = time.monotonic() + seconds
        while not (met := condition()) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        return met


_team = Team()


def launched() -> bool:
    """Return whether a launcher (torchrun, or one that sets the same variables) started several processes."""
    return all(os.environ.get(name) for name in ENVIRONMENT) and int(os.environ["WORLD_SIZE"]) > 1


def team() -> Team:
    """Return the team that this process has joined; a team of one if it has joined none."""
    return _team


def agree(value: Any) -> Any:
    """Return the leader's value on every process of the team; see ``Team.agree``."""
    return _team.agree(value)


def join() -> Team:
    """Join the other processes if there are any, waiting until all have started; return the team."""
    global _team  # noqa: PLW0603 - as in torch.distributed, a process is in one team, for good
    if _team.store is not None or not launched():
        return _team
    from pipeline.training.rendezvous import join_processes  # it loads torch

    rank, size, words = join_processes()
    _team = Team(rank, size, words)
    return _team
