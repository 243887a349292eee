"""Weights are read from safetensors files alone: a pickle may hold any code, so none is opened, whatever names it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import ModelError

SAFE = ".safetensors"
INDEX = ".safetensors.index.json"


def refuse_pickles(location: str, config: Any) -> None:
    """Look at what a model would be read from, before anything is read.

    Args:
        location: folder or hub id; of a hub only what its configuration names can be known.
        config: the model's configuration.

    Raises:
        ModelError: its weights are, or are said to be, in a file that would be unpickled.
    """
    pickled = next((name for name in _named(Path(location), config) if not name.endswith((SAFE, INDEX))), None)
    if pickled is not None:
        raise ModelError(
            f"{location} has its weights in {pickled}, a pickle, which may hold any code and is not read: where you "
            "trust it, load it with from_pretrained and save it with save_pretrained, which writes model.safetensors"
        )


def weight_files(folder: Path, config: Any) -> list[str]:
    """The safetensors files that a model folder's weights would be read from; empty if it has none.

    Args:
        folder: of the model.
        config: the model's configuration.
    """
    named = list(_named(folder, config)) or [f"model{SAFE}"]
    files = [name for part in named for name in (_shards(folder / part) if part.endswith(INDEX) else [part])]
    return [name for name in files if name.endswith(SAFE) and (folder / name).is_file()]


def _named(folder: Path, config: Any) -> Iterator[str]:
    """Files that the weights would be read from, as far as they can be known."""
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
    """Files that an index names; one that cannot be read is told of by the library."""
    try:
        return sorted({str(name) for name in json.loads(index.read_bytes())["weight_map"].values()})
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return []
