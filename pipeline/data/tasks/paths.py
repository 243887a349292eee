"""Which files (or the folder) a task reads, known without reading them: what a fingerprint of the task is made from."""

from pathlib import Path

from pipeline.config.task import TaskConfig
from pipeline.data.tasks.glue import glue_files, glue_task
from pipeline.data.tasks.hub_folder import hub_folder
from pipeline.errors import DataError

USUAL_LENGTH = 128  # word pieces of a row, where neither the configuration nor GLUE says otherwise


def file_sources(config: TaskConfig) -> tuple[str, ...]:
    """The paths of every file the task reads, in a fixed order.

    A hub name or a list of packages reads no file of the user's: nothing is listed for them, but a hub name
    that is a local folder lists that folder, whose file names say which split is which.

    Raises:
        DataError: a file is not there; names it and the key that asked for it.
        ConfigError: ``task.dir`` is given and ``task.name`` is no GLUE task.
    """
    named: list[tuple[str, Path]] = []
    if config.dir:
        files = glue_files(Path(config.dir).expanduser(), glue_task(config.name))
        named += [("task.dir", path) for path in files.values()]
    if config.train:
        named.append(("task.train", Path(config.train).expanduser()))
    if config.dev:
        named.append(("task.dev", Path(config.dev).expanduser()))
    named += [("task.unlabelled", Path(path).expanduser()) for path in config.unlabelled]
    for key, path in named:
        require_file(key, path)
    folder = hub_folder(config.hub)
    return tuple(map(str, ([folder] if folder else []) + [path for _, path in named]))


def require_file(key: str, path: Path) -> None:
    """Refuse a path that is no file.

    Args:
        key: the configuration key that names it.
        path: of the file.

    Raises:
        DataError: names the path and the key.
    """
    if not path.is_file():
        kind = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise DataError(f"{path} ({key}) {kind}: correct the path")
