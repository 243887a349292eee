"""The seam between a command and its work: a function's name now, its import when the command is given.

So ``--help`` and a mistake in a command line are answered at once, and what does the work imports what it needs where
imports belong.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Later:
    """A function that is imported when it is called."""

    module: str
    function: str

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Import the module and call the function."""
        return getattr(import_module(self.module), self.function)(*arguments, **options)


def later(place: str) -> Later:
    """The function at a place.

    Args:
        place: ``module:function``.
    """
    module, _, function = place.partition(":")
    return Later(module, function)
