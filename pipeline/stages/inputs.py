"""Inputs from outside the store, as sources: model folders and hub ids, files, package versions."""

from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config.builtin import builtin_path, home_path
from pipeline.errors import ModelError
from pipeline.store.source import Source
from pipeline.store.stage import StageRun

if TYPE_CHECKING:
    from pipeline.models.load import ModelSource


def model_source(location: str, revision: str = "main") -> Source:
    """A model folder, known by its content, or a hub id, known by its name and revision.

    Raises:
        ModelError: it looks like a path, but there is no such folder.
    """
    folder = builtin_path(location)
    if folder.is_dir():
        return Source(paths=(str(folder),))
    if location.startswith((".", "/", "~", "builtin:")) or location.count("/") > 1:
        raise ModelError(f"there is no model folder {location!r}: check the path (relative to {Path.cwd()})")
    return Source(paths=(location, revision), identity=f"hub:{location}@{revision}")


def expand(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Globs as sorted paths; a pattern without a match stays, to be named by whoever reads it."""
    return tuple(
        path
        for pattern in (str(home_path(given)) for given in patterns)
        for path in (
            sorted(glob(pattern, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
            or [pattern]
        )
    )


def model_input(run: StageRun, role: str) -> "ModelSource":
    """The model in a role: that of an upstream artifact, a folder, or a hub id at its revision."""
    from pipeline.models.load import ModelSource

    found = run.inputs[role]
    if isinstance(found, Path):
        return ModelSource(str(found / "model"))
    revision = str(found[1]) if len(found) > 1 else "main"
    return ModelSource(str(found[0]), revision)
