"""Read a model folder's ``config.json`` as plain JSON, before a run begins and without torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config.builtin import builtin_path
from pipeline.errors import ModelError

CONFIG = "config.json"
MULTI_LABEL = "multi_label_classification"
# What the families call the four numbers of a shape.
NAMES = {
    "layers": ("num_hidden_layers", "n_layers"),
    "hidden": ("hidden_size", "dim"),
    "heads": ("num_attention_heads", "n_heads"),
    "intermediate": ("intermediate_size", "hidden_dim"),
}
DROPOUTS = ("hidden_dropout_prob", "dropout")
# What else decides how many weights an encoder has.
SIZES = ("model_type", "vocab_size", "max_position_embeddings", "type_vocab_size", "embedding_size")


def read_config(folder: Path) -> dict[str, Any]:
    """Return the content of a model folder's config.json.

    Raises:
        ModelError: it is missing, unreadable or no JSON object.
    """
    try:
        config = json.loads((folder / CONFIG).read_bytes())
    except OSError as error:
        raise ModelError(
            f"cannot load {str(folder)!r}, a folder: its {CONFIG} cannot be read ({error.strerror}): name a folder "
            "that save_pretrained wrote"
        ) from error
    except ValueError as error:
        raise ModelError(f"cannot load {str(folder)!r}, a folder: its {CONFIG} is not JSON ({error})") from error
    if not isinstance(config, dict):
        raise ModelError(f"cannot load {str(folder)!r}, a folder: its {CONFIG} holds no object")
    return config


def describe(location: str) -> Mapping[str, Any] | None:
    """Return the content of a model folder's config.json; None for a hub id, or if it cannot be read."""
    try:
        return read_config(builtin_path(location))
    except ModelError:
        return None


def shape_of(described: Mapping[str, Any]) -> dict[str, int]:
    """Return ``layers``, ``hidden``, ``heads`` and ``intermediate``, as far as a configuration has them."""
    shape = {key: next((described[name] for name in names if name in described), None) for key, names in NAMES.items()}
    return {key: value for key, value in shape.items() if isinstance(value, int)}


def dropout_of(described: Mapping[str, Any]) -> float | None:
    """Return the dropout probability of the hidden states in a configuration; None if it has none."""
    dropout = next((described[name] for name in DROPOUTS if name in described), None)
    return float(dropout) if isinstance(dropout, int | float) else None


def sizes_of(described: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the settings other than the shape that an encoder's size depends on; equal within a family."""
    return tuple(described.get(name) for name in SIZES)
