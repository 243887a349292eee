"""Protect the artifacts that a run uses from pruning, and apply the retention policy after it."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.config.retention import Retention
from pipeline.config.runtime import Runtime
from pipeline.errors import StoreError
from pipeline.report.formats import size
from pipeline.store.store import Store
from tasks.progress import Logger


@contextmanager
def upkeep(runtime: Runtime, logger: Logger) -> Iterator[None]:
    """Protect the artifacts that this block uses; then remove what ``runtime.retention`` does not keep, if it is set.

    Args:
        runtime: store and retention policy.
        logger: receives a line about what was removed.
    """
    store = Store(runtime.store)
    with store.in_use():
        yield
        if runtime.retention is not None:
            _apply(runtime.retention, store, logger)


def _apply(retention: Retention, store: Store, logger: Logger) -> None:
    try:
        gone = store.prune(retention.keep, days=retention.days)
    except StoreError as error:  # the run itself is done, and well
        logger.warning("the store was not pruned: %s", error)
        return
    if gone:
        freed = size(sum(one.size for one in gone), space=" ")
        logger.info("retention removed %s (%s)", ", ".join(one.ref for one in gone), freed)
