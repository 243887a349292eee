"""Read the rows of a data set on the hub, or of a local folder that the ``datasets`` library can read.

The library reads every split with the features of the first one: if splits number their classes differently, it
silently swaps the labels of the others. So the numbers of each split are read with its own names.
"""

import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config.task import TaskConfig
from pipeline.data.tasks.paths import hub_folder
from pipeline.data.tasks.rows import Columns, Rows, require_columns, rows_from_columns
from pipeline.errors import DataError
from pipeline.hub import asking_hub

SAVED, SAVED_ALONE = "dataset_dict.json", "state.json"


def read_hub(config: TaskConfig, split: str, columns: Columns) -> tuple[Rows, tuple[str, ...]]:
    """Return the rows of one split, and the class names if its label column is a ``ClassLabel``.

    Class indices become names; -1, which the library uses for a missing label, becomes None.

    Raises:
        DataError: the data set, its configuration or the split is not there, or a column is not.
    """
    assert config.hub is not None, "read_hub is called for a hub source"  # noqa: S101
    folder = hub_folder(config.hub)
    source = f"{config.hub}[{split}]"
    stored_names: tuple[str, ...] | None = None
    try:
        with asking_hub(config.hub, "name files with task.train and task.dev", DataError):
            if folder and (folder / SAVED).is_file():
                data = _saved(folder, config, split)
            elif folder and (folder / SAVED_ALONE).is_file():
                splits = " and ".join(dict.fromkeys(config.hub_splits))
                raise DataError(f"{config.hub} holds one data set without splits: save a DatasetDict with {splits}")
            else:
                data, stored_names = _loaded(folder, config, split, columns)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        line = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(
            f"{source} cannot be loaded ({line:.160}): correct task.hub, hub_config or hub_splits"
        ) from error
    require_columns(columns.names(), data.column_names, source)
    values = [list(data[name]) for name in columns.names()]
    feature = data.features[columns.label]
    class_names: tuple[str, ...] = ()
    if isinstance(feature, datasets.ClassLabel):
        class_names = stored_names or tuple(feature.names)
        values[-1] = [None if value is None or value < 0 else class_names[value] for value in values[-1]]
    rows = rows_from_columns(values, columns, source=source, numbers=range(1, len(data) + 1), by_line=False)
    return rows, class_names


def _saved(folder: Path, config: TaskConfig, split: str) -> datasets.Dataset:
    """Load a split of a folder that ``DatasetDict.save_to_disk`` wrote, with its own features."""
    if config.hub_config:
        raise DataError(
            f"task.hub_config is {config.hub_config!r}, but {config.hub} was written by save_to_disk, which knows no "
            "configurations: leave it empty"
        )
    splits = json.loads((folder / SAVED).read_text(encoding="utf-8"))["splits"]
    if split not in splits:
        raise DataError(f"{config.hub} has no split {split!r}, only {', '.join(splits)}: correct task.hub_splits")
    return datasets.Dataset.load_from_disk(str(folder / split))


def _loaded(
    folder: Path | None, config: TaskConfig, split: str, columns: Columns
) -> tuple[datasets.Dataset, tuple[str, ...] | None]:
    """Load a split with ``load_dataset``; return it with the class names in its own files, if there are any."""
    name, revision = (str(folder), None) if folder else (config.hub, config.hub_revision)
    builder = datasets.load_dataset_builder(name, config.hub_config, revision=revision)
    options: dict[str, Any] = {}
    if hasattr(builder.config, "keep_default_na"):  # of CSV, whose texts null and NA are texts
        options["keep_default_na"] = False
    data = datasets.load_dataset(name, config.hub_config, split=split, revision=revision, **options)
    files = builder.config.data_files if folder and not _declared(folder) else None
    class_names = {_class_names(Path(file), columns.label) for file in (files or {}).get(split, ())} - {None}
    if len(class_names) > 1:
        listed = " and ".join(sorted(map(str, class_names)))
        raise DataError(
            f"the files of {config.hub}[{split}] number the classes of {columns.label!r} as {listed}: save them alike"
        )
    return data, class_names.pop() if class_names else None


def _declared(folder: Path) -> bool:
    """Return whether the folder's README states the features of all its files, which are then used."""
    readme = folder / "README.md"
    return readme.is_file() and "\ndataset_info:" in readme.read_text(encoding="utf-8", errors="replace")


def _class_names(file: Path, label: str | None) -> tuple[str, ...] | None:
    """Return the class names of a label column in the order of their numbers, from the Parquet file's metadata."""
    if file.suffix != ".parquet" or not file.is_file():
        return None
    try:
        metadata = (pq.read_schema(file).metadata or {}).get(b"huggingface", b"{}")
        return tuple(json.loads(metadata)["info"]["features"][label]["names"])
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
        return None  # it was not written by the library
