"""The files or folder that a task reads, without reading them: the fingerprint of a task is made from these."""

from pathlib import Path

from pipeline.config.builtin import home_path
from pipeline.config.task import TaskConfig
from pipeline.data.tasks.glue import glue_files, glue_task
from pipeline.errors import DataError

USUAL_LENGTH = 128  # word pieces of a row, where neither the configuration nor GLUE says otherwise


def hub_folder(name: str | None) -> Path | None:
    """Return the local folder that a data set's name stands for; None for a data set on the hub, or without a name."""
    folder = home_path(name) if name else None
    return folder if folder and folder.is_dir() else None


def file_sources(config: TaskConfig) -> tuple[str, ...]:
    """Return the paths of all files the task reads, in a fixed order.

    A hub name or a list of packages reads no file of the user's. If a hub name is a local folder, that folder is
    listed, because its file names say which split is which.

    Raises:
        DataError: a file does not exist; names it and its configuration key.
        ConfigError: ``task.dir`` is given and ``task.name`` is no GLUE task.
    """
    named: list[tuple[str, Path]] = []
    if config.dir:
        files = glue_files(Path(config.dir).expanduser(), glue_task(config.name))
        named += [("task.dir", path) for path in files.values()]
    keys = [("task.train", config.train), ("task.dev", config.dev), ("task.test", config.test)]
    keys += [("task.unlabelled", path) for path in config.unlabelled]
    named += [(key, Path(path).expanduser()) for key, path in keys if path]
    for key, path in named:
        require_file(key, path)
    folder = hub_folder(config.hub)
    return tuple(map(str, ([folder] if folder else []) + [path for _, path in named]))


def require_file(key: str, path: Path) -> None:
    """Refuse a path that is no file.

    Args:
        key: the configuration key that names it.
        path: path of the file.

    Raises:
        DataError: names the path and the key.
    """
    if not path.is_file():
        kind = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise DataError(f"{path} ({key}) {kind}: correct the path")
