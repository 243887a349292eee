"""A team is the processes that torchrun started for one run: the first leads, the others follow its words.

A word is a JSON value that the leader puts into the store torchrun brings along. Followers look for it now
and then instead of waiting inside a collective: a word may be hours away (the leader augments), and Ctrl-C
still works. One process on its own is a team too: it leads nobody, and agrees with itself.
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
    """The leader gave up; it has said why."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"the leading process left with exit code {exit_code}")
        self.exit_code = exit_code


@dataclass
class Team:
    """One process's place in its team; every process calls ``agree``, ``tell`` and ``hear`` in the same order.

    Attributes:
        rank: 0 leads.
        size: number of processes.
        store: where words are left; None on one's own.
        words: how many have been said so far.
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
        """Say the next word; the leader alone may. ``TypeError`` if it is no JSON value."""
        word = json.dumps(value)
        if self.store is not None:
            self.words += 1
            self.store.set(f"word-{self.words}", word)

    def hear(self) -> Any:
        """Wait for the leader's next word, however long it takes.

        Raises:
            LeaderLeftError: the leader failed instead.
        """
        assert self.store is not None  # noqa: S101 - nobody on his own follows
        self.words += 1
        key = f"word-{self.words}"
        while not self.store.check([key]):
            if (code := self.failure()) is not None:
                raise LeaderLeftError(code)
            time.sleep(POLL_SECONDS)
        return json.loads(self.store.get(key))

    def agree(self, value: Any) -> Any:
        """The leader's value, on every process; a JSON value."""
        if self.follows:
            return self.hear()
        self.tell(value)
        return value

    def fail(self, exit_code: int) -> None:
        """Tell the followers that there will be no further word; best effort, for the launcher may be gone."""
        if self.store is not None:
            with suppress(RuntimeError):
                self.store.set("failed", json.dumps(exit_code))

    def failure(self, within: float = 0.0) -> int | None:
        """The exit code of a leader that gave up; None if it has not after ``within`` seconds."""
        assert self.store is not None  # noqa: S101
        return json.loads(self.store.get("failed")) if self._until(lambda: self._there("failed"), within) else None

    def part(self) -> None:
        """Leave; the leader goes last, for the store may be its own."""
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
        """Whether the condition came true in time."""
        end = time.monotonic() + seconds
        while not (met := condition()) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        return met


_team = Team()


def launched() -> bool:
    """Whether a launcher (torchrun, or anything that sets its environment) started several processes."""
    return all(os.environ.get(name) for name in ENVIRONMENT) and int(os.environ["WORLD_SIZE"]) > 1


def team() -> Team:
    """The team this process has joined; itself alone if none."""
    return _team


def agree(value: Any) -> Any:
    """The leader's value, on every process of the team; see ``Team.agree``."""
    return _team.agree(value)


def join() -> Team:
    """Meet the other processes, if there are any; waits until all are there."""
    global _team  # noqa: PLW0603 - as in torch.distributed, a process is in one team, for good
    if _team.store is not None or not launched():
        return _team
    from pipeline.training.rendezvous import join_processes  # it loads torch

    rank, size, words = join_processes()
    _team = Team(rank, size, words)
    return _team
