"""How a running stage says where it is, without knowing who listens.

A stage calls ``update`` as often as it likes; whoever listens (a terminal bar, a Prefect progress
artifact, a log line) decides how often to show it.
"""

from typing import Protocol


class Progress(Protocol):
    """Where a stage reports what it has done so far."""

    def update(self, done: float, total: float | None, **fields: float | str) -> None:
        """``done`` of ``total`` units are finished; ``fields`` are shown beside it (loss, lr...)."""

    def note(self, message: str) -> None:
        """One line worth keeping: what was dropped, truncated, resumed."""


class Silent:
    """Progress that nobody watches."""

    def update(self, done: float, total: float | None, **fields: float | str) -> None:
        """Say nothing."""

    def note(self, message: str) -> None:
        """Say nothing."""
