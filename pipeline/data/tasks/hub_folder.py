"""A datasets-hub name may be a folder on this machine: then it is known by its files, not by its name."""

from pathlib import Path

from pipeline.config.builtin import home_path


def hub_folder(name: str | None) -> Path | None:
    """The folder that a hub name is, or None when it names a data set on the hub (or nothing)."""
    folder = home_path(name) if name else None
    return folder if folder and folder.is_dir() else None
