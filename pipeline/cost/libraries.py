"""What the stages of a run import when they begin, imported before the first of them: none is timed with it."""

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from pipeline.store.entry import Entry
from pipeline.store.stage import Stage


def load_libraries(stages: Iterable[Stage[Any]]) -> None:
    """Import what does the work of these stages."""
    for stage in stages:
        if isinstance(stage.run, Entry):
            import_module(stage.run.module)
