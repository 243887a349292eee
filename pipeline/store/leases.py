"""A lease is a list of the artifacts that a living run was given; while the run lives they are not pruned.

Its file is locked by the run's process, so a lease dies with it however that ends.
"""

import json
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from pipeline.store.layout import Layout
from pipeline.store.locks import hold, is_free

_own: ContextVar["Lease | None"] = ContextVar("lease", default=None)


class Lease:
    """The lease of a run of this process."""

    def __init__(self, layout: Layout) -> None:
        self.root = layout.root
        self.path = layout.leases / f"{uuid.uuid4().hex}.json"

    def note(self, ref: str) -> None:
        """The run was given this artifact; on a full disk it goes on without saying so."""
        with suppress(OSError), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(ref) + "\n")


def own_lease(layout: Layout) -> Lease | None:
    """The lease that this run took of the store, if it did."""
    lease = _own.get()
    return lease if lease is not None and lease.root == layout.root else None


@contextmanager
def leasing(layout: Layout) -> Iterator[None]:
    """Take a lease for as long as this lasts; a store that cannot be written needs none, for nobody prunes it."""
    lease = Lease(layout)
    with ExitStack() as held:
        with suppress(OSError), inventory(layout):
            held.enter_context(hold(_lock(lease.path)))
        token = _own.set(lease)
        try:
            yield
        finally:
            _own.reset(token)
            with suppress(OSError):
                lease.path.unlink(missing_ok=True)
                _lock(lease.path).unlink(missing_ok=True)


def leased(layout: Layout) -> list[str]:
    """References that living runs hold."""
    refs: list[str] = []
    for lock in layout.leases.glob("*.lock"):
        with suppress(FileNotFoundError):  # it noted nothing yet, or ended just now
            if not is_free(lock):
                refs += map(json.loads, lock.with_suffix(".json").read_text(encoding="utf-8").splitlines())
    return refs


def forget_dead(layout: Layout) -> None:
    """Clear away the leases of runs that were killed; hold the inventory meanwhile."""
    for lock in layout.leases.glob("*.lock"):
        if is_free(lock):
            lock.with_suffix(".json").unlink(missing_ok=True)
            lock.unlink(missing_ok=True)


def inventory(layout: Layout) -> AbstractContextManager[None]:
    """Keep what is needed from changing while it is written down, or while what is not needed goes."""
    return hold(layout.lock("inventory"))


def _lock(path: Path) -> Path:
    return path.with_suffix(".lock")
