"""Weights are read from safetensors files only: a pickle may contain any code, so none is ever opened."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import ModelError

SAFE = ".safetensors"
INDEX = ".safetensors.index.json"


def refuse_pickles(location: str, config: Any) -> None:
    """Refuse a model whose weights would be read from a pickle, before any of them is read.

    Args:
        location: folder or hub id; for a hub id, only the files that the configuration names are known.
        config: configuration of the model.

    Raises:
        ModelError: its weights are in a file that would be unpickled, or its configuration names one.
    """
    pickled = next((name for name in _named(Path(location), config) if not name.endswith((SAFE, INDEX))), None)
    if pickled is not None:
        raise ModelError(
            f"{location} has its weights in {pickled}, a pickle, which may hold any code and is not read: where you "
            "trust it, load it with from_pretrained and save it with save_pretrained, which writes model.safetensors"
        )


def weight_files(folder: Path, config: Any) -> list[str]:
    """Return the names of the safetensors files with a model's weights; empty if the folder has none.

    Args:
        folder: folder of the model.
        config: configuration of the model.
    """
    named = list(_named(folder, config)) or [f"model{SAFE}"]
    files = [name for part in named for name in (_shards(folder / part) if part.endswith(INDEX) else [part])]
    return [name for name in files if name.endswith(SAFE) and (folder / name).is_file()]


def _named(folder: Path, config: Any) -> Iterator[str]:
    """Return the files that the weights would be read from, as far as they are known."""
    chosen = getattr(config, "transformers_weights", None)
    if chosen:
        yield str(chosen)
    if not folder.is_dir() or (not chosen and (folder / f"model{SAFE}").is_file()):
        return
    index = folder / str(chosen or f"model{INDEX}")
    if index.name.endswith(INDEX) and index.is_file():
        yield from _shards(index)
    elif not chosen:
        yield from sorted(path.name for path in folder.glob("*.bin"))


def _shards(index: Path) -> list[str]:
    """Return the files that an index names; an unreadable index is left to the library to report."""
    try:
        return sorted({str(name) for name in json.loads(index.read_bytes())["weight_map"].values()})
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return []
