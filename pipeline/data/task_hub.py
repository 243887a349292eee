"""Rows of a datasets-hub name, or of a local folder the ``datasets`` library understands."""

from pipeline.config.task import TaskConfig
from pipeline.data.hub_folder import hub_folder
from pipeline.data.task_rows import Columns, Rows, require_columns, rows_from_columns
from pipeline.errors import DataError
from pipeline.hub import asking_hub


def read_hub(config: TaskConfig, split: str, columns: Columns) -> tuple[Rows, tuple[str, ...]]:
    """The rows of one split, and the names of its label column when it is a ``ClassLabel``.

    Class indices become their names here; -1, the library's mark of a missing label, becomes None.

    Raises:
        DataError: the data set, its configuration or the split is not there, or a column is not.
    """
    import datasets

    assert config.hub is not None, "read_hub is called for a hub source"  # noqa: S101
    folder = hub_folder(config.hub)
    name, revision = (str(folder), None) if folder else (config.hub, config.hub_revision)
    source = f"{config.hub}[{split}]"
    try:
        with asking_hub(name, "name files with task.train and task.dev", DataError):
            data = datasets.load_dataset(name, config.hub_config, split=split, revision=revision)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(
            f"{source} cannot be loaded ({first:.160}): correct task.hub, hub_config or hub_splits"
        ) from error
    require_columns(columns.names(), data.column_names, source)
    values = [list(data[name]) for name in columns.names()]
    feature = data.features[columns.label]
    class_names: tuple[str, ...] = ()
    if isinstance(feature, datasets.ClassLabel):
        class_names = tuple(feature.names)
        values[-1] = [None if value is None or value < 0 else class_names[value] for value in values[-1]]
    rows = rows_from_columns(values, columns, source=source, numbers=range(1, len(data) + 1), by_line=False)
    return rows, class_names
