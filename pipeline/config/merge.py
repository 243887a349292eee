"""Merge layers of a configuration: a later layer changes an earlier one key by key.

A mapping over a mapping is merged; anything else replaces. A mapping over a list changes its items: by position
(``{"0": {...}}``, from ``students.0.layers=3``), which may also add the next one, by name (``phases.prediction``), or
all of them (``*``). Null over a name takes that item out.
A section has one source: a layer that names another one removes the earlier one.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import TypeGuard

from pipeline.config.yaml_text import legible
from pipeline.errors import ConfigError

Tree = dict[str, object]
Groups = tuple[tuple[str, ...], ...]

# In each group the first key names the source; the others describe it and go with it.
SOURCES: dict[str, Groups] = {
    "corpus": (("paths",), ("hub", "hub_config", "hub_split", "hub_revision"), ("packages",)),
    "task": (("dir",), ("train", "dev", "test"), ("hub", "hub_config", "hub_revision", "hub_splits"), ("packages",)),
}
SHAPES: Groups = (("preset",), ("layers", "hidden", "heads", "intermediate"))


def lay(base: Mapping[str, object], layer: Mapping[str, object]) -> Tree:
    """Merge ``layer`` over ``base``, without the sources of ``base`` that ``layer`` replaces by others."""
    return merge_mappings(_without_replaced(base, layer), layer)


def merge(base: object, layer: object, path: str = "") -> object:
    """Merge ``layer`` over ``base``; ``path`` is their place in the configuration, for error messages."""
    if isinstance(base, Mapping) and isinstance(layer, Mapping):
        return merge_mappings(base, layer, path)
    if is_list(base) and isinstance(layer, Mapping) and is_items(base, layer):
        return _merge_items(base, layer, path)
    return layer


def merge_mappings(base: Mapping[str, object], layer: Mapping[str, object], path: str = "") -> Tree:
    """Merge the values of every key of both; ``0`` and ``"0"`` are one key."""
    merged = dict(base)
    names = {str(key): key for key in base}
    for given, value in layer.items():
        key = names.get(str(given), given)
        merged[key] = merge(merged[key], value, f"{path}{key}.") if key in merged else value
    return merged


def is_list(value: object) -> TypeGuard[Sequence[object]]:
    """Return whether a value is a list (text is not)."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def is_items(base: Sequence[object], layer: object) -> bool:
    """Return whether ``layer`` changes items of a list, by their positions or by their names."""
    if not isinstance(layer, Mapping) or not layer:
        return False
    return bool(_names(base)) or all(isinstance(key, str) and re.fullmatch("[0-9]{1,6}", key) for key in layer)


def _names(items: Sequence[object]) -> list[str | None]:
    """Return the names of a list's items; empty unless all are mappings and some have a name."""
    if not all(isinstance(item, Mapping) for item in items):
        return []
    names = [str(item["name"]) if isinstance(item, Mapping) and item.get("name") else None for item in items]
    return names if any(names) else []


def place_of(key: str, items: Sequence[object], path: str) -> int:
    """Return the position of an item, which is given by its name or its position.

    Raises:
        ConfigError: no item has that name.
    """
    if re.fullmatch("[0-9]{1,6}", key):
        return int(key)
    names = _names(items)
    if key not in names:
        known = [name for name in names if name]
        near = difflib.get_close_matches(key, known, n=1)
        there = f"there are {', '.join(known)}, and * for all of them; a list of others begins each item with '- '"
        hint = f"did you mean {path}{near[0]}?" if near else there
        raise ConfigError(legible(f"{path}{key} does not exist: {hint}"))
    return names.index(key)


def _merge_items(base: Sequence[object], layer: Mapping[str, object], path: str) -> list[object]:
    items: list[object] = list(base)
    every = layer.get("*")
    if every is not None:
        items = [merge(item, every, f"{path}{position}.") for position, item in enumerate(items)]
    keys = [str(key) for key in layer if key != "*"]
    values = {str(key): value for key, value in layer.items()}
    places = {key: place_of(key, items, path) for key in keys}
    removed = {places[key] for key in keys if values[key] is None and not key.isdecimal()}
    for key in sorted(keys, key=places.__getitem__):
        position = places[key]
        if position > len(items):
            msg = (
                f"{path}{key} does not exist: {path.rstrip('.')} has {len(items)} items, "
                f"the next one is {path}{len(items)}"
            )
            raise ConfigError(legible(msg))
        if position == len(items):
            items.append(values[key])
        elif position not in removed:
            items[position] = merge(items[position], values[key], f"{path}{key}.")
    return [item for position, item in enumerate(items) if position not in removed]


def _without_replaced(base: Mapping[str, object], layer: Mapping[str, object]) -> Tree:
    kept = dict(base)
    for section, groups in SOURCES.items():
        kept |= {section: _one_source(base[section], layer.get(section), groups)} if section in base else {}
    students, changes = base.get("students"), layer.get("students")
    if is_list(students) and isinstance(changes, Mapping) and is_items(students, changes):
        kept["students"] = [
            _one_source(student, changes.get(str(position), changes.get(str(name))), SHAPES)
            for position, (student, name) in enumerate(
                zip(students, _names(students) or [None] * len(students), strict=True)
            )
        ]
    return kept


def _one_source(base: object, layer: object, groups: Groups) -> object:
    if not isinstance(base, Mapping) or not isinstance(layer, Mapping):
        return base
    named = [group for group in groups if layer.get(group[0])]
    replaced = {key for group in groups if named and group not in named for key in group}
    return {key: value for key, value in base.items() if key not in replaced}
