"""What a run owes its store: nothing it uses may be pruned meanwhile, and after it the retention policy is applied."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.config.runtime import Runtime
from pipeline.store.store import Store
from tasks.progress import Logger


@contextmanager
def upkeep(runtime: Runtime, logger: Logger) -> Iterator[None]:
    """Use the store while this lasts; then remove what ``runtime.retention`` does not keep, if it is set."""
    store = Store(runtime.store)
    with store.in_use():
        yield
        if runtime.retention is not None:
            gone = store.prune(runtime.retention.keep, days=runtime.retention.days)
            if gone:
                logger.info(
                    "retention removed %s (%.1f MB)",
                    ", ".join(one.ref for one in gone),
                    sum(o.size for o in gone) / 1e6,
                )
