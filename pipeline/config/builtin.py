"""Resolve locations: ``~`` is the user's home, ``builtin:NAME`` a file that comes with the project."""

import os
from pathlib import Path

PREFIX = "builtin:"
INSTALLED = Path(__file__).parent / "recipes"
CHECKOUT = Path(__file__).parents[2] / "data"


def home_path(location: str | Path) -> Path:
    """Return the path with ``~`` as the user's home; ``~`` of an unknown user stays, for the error message."""
    return Path(os.path.expanduser(location))  # noqa: PTH111 - Path.expanduser raises for such a user


def builtin_path(location: str) -> Path:
    """Return the path of ``builtin:NAME``, or of any other location."""
    if not location.startswith(PREFIX):
        return home_path(location)
    name = location.removeprefix(PREFIX)
    return next((folder / name for folder in (INSTALLED, CHECKOUT) if (folder / name).exists()), CHECKOUT / name)
