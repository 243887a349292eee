"""Files that come with the project: ``builtin:NAME`` names one wherever the project is installed."""

from pathlib import Path

PREFIX = "builtin:"
INSTALLED = Path(__file__).parent / "recipes"
CHECKOUT = Path(__file__).parents[2] / "data"


def builtin_path(location: str) -> Path:
    """The path behind ``builtin:NAME``; any other location as it is."""
    if not location.startswith(PREFIX):
        return Path(location).expanduser()
    name = location.removeprefix(PREFIX)
    return next((folder / name for folder in (INSTALLED, CHECKOUT) if (folder / name).exists()), CHECKOUT / name)
