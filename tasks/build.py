"""Find or build a stage's artifact and look after the store of a run, with or without Prefect."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.config.runtime import Runtime
from pipeline.errors import StoreError
from pipeline.report.formats import size
from pipeline.store.fan_out import FanOut, one_after_other
from pipeline.store.materialize import Outcome, materialize
from pipeline.store.stage import Stage
from pipeline.store.store import Store
from tasks.device_lock import exclusive_device
from tasks.progress import Logger, progress_for
from tasks.ranks import announcer


def build_stage(
    stage: Stage[Any], runtime: Runtime, logger: Logger, fan_out: FanOut = one_after_other
) -> tuple[Outcome, str]:
    """Materialize a stage and show its progress; return the outcome and one line about it.

    Args:
        stage: the stage.
        runtime: device, store, threads.
        logger: receives the progress unless a listener does.
        fan_out: makes the shards of a stage that works in shards.
    """
    progress = progress_for(stage.name, logger)
    with exclusive_device(stage, runtime, progress, announcer(stage)) as announce:
        outcome = materialize(stage, Store(runtime.store), runtime, progress, announce, fan_out)
    ref = outcome.artifact.ref
    message = {
        "reused": f"{ref} was already there",
        "resumed": f"{ref}, continued from what an earlier attempt had left",
        "completed": f"{ref} in {outcome.seconds:.1f} s",
    }[outcome.state]
    progress.note(message)
    return outcome, message


def build_stages(stages: Iterable[Stage[Any]], runtime: Runtime) -> None:
    """Build stages one after the other without Prefect, for a run whose server cannot be reached."""
    logger = logging.getLogger("tinybert")
    with upkeep(runtime, logger):
        for stage in stages:
            build_stage(stage, runtime, logger)


@contextmanager
def upkeep(runtime: Runtime, logger: Logger) -> Iterator[None]:
    """Protect the artifacts that this block uses; then remove what ``runtime.retention`` does not keep, if it is set.

    Args:
        runtime: store and retention policy.
        logger: receives a line about what was removed.
    """
    store, retention = Store(runtime.store), runtime.retention
    with store.in_use():
        yield
        if retention is None:
            return
        try:
            removed = store.prune(retention.keep, days=retention.days)
        except StoreError as error:  # the run itself has succeeded
            logger.warning("the store was not pruned: %s", error)
            return
        if removed:
            freed = size(sum(entry.size for entry in removed), space=" ")
            logger.info("retention removed %s (%s)", ", ".join(entry.ref for entry in removed), freed)
