"""A stage names the module that does its work; the module is imported when the work begins.

So a run is planned without any heavy library, and the module has its imports at its top.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from pydantic import BaseModel

if TYPE_CHECKING:
    from pipeline.store.stage import StageRun


@dataclass(frozen=True)
class Entry:
    """The function ``run`` of a module, which does the work of a stage.

    It takes the stage's ``StageRun`` and, by name, every field of the stage's slice of the configuration.
    """

    module: str

    def __call__(self, config: BaseModel, run: "StageRun") -> None:
        """Import the module and do the work."""
        import_module(self.module).run(run, **dict(config))


def entry(module: str) -> Entry:
    """The work of a stage.

    Args:
        module: full name of a module with a function ``run``.
    """
    return Entry(module)
