"""The seam between a command and its work: a function's name now, its import when the command is given.

So ``--help`` and a mistake in a command line are answered at once, and what does the work imports what it needs where
imports belong.
"""

from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any


@dataclass(frozen=True)
class Later:
    """A function that is imported when it is called.

    Attributes:
        place: ``module:function``.
    """

    place: str

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Import the module and call the function."""
        return resolve_name(self.place)(*arguments, **options)
