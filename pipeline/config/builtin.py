"""Where a location leads: ``~`` is the user's home, ``builtin:NAME`` a file that comes with the project."""

import os
from pathlib import Path

PREFIX = "builtin:"
INSTALLED = Path(__file__).parent / "recipes"
CHECKOUT = Path(__file__).parents[2] / "data"


def home_path(location: str | Path) -> Path:
    """The path with ``~`` as the user's home; that of a user nobody knows stays, to be named by whoever reads it."""
    return Path(os.path.expanduser(location))  # noqa: PTH111 - Path.expanduser raises for such a user


def builtin_path(location: str) -> Path:
    """The path behind ``builtin:NAME``; any other location as it is."""
    if not location.startswith(PREFIX):
        return home_path(location)
    name = location.removeprefix(PREFIX)
    return next((folder / name for folder in (INSTALLED, CHECKOUT) if (folder / name).exists()), CHECKOUT / name)
