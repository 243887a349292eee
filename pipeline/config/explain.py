"""Mistakes of a configuration in one line: the key, its value, and what was expected.

Pydantic reports every member of a union; here a key has one mistake, described from the models. Unknown keys come
first, because a misspelt key is often the reason why another one is missing.
"""

import difflib
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from pipeline.config.base import Config
from pipeline.config.merge import is_list
from pipeline.config.schema import KeyPath, either, expected, field_at, item, known_keys, options, section
from pipeline.config.yaml_text import legible
from pipeline.errors import ConfigError

_UNKNOWN = ("extra_forbidden", "invalid_key")
_SHOWN_ELSEWHERE = 3
_MOST_EXPLAINED = 4
_LONGEST_VALUE = 300


def config_error(error: ValidationError, tree: Mapping[str, object], model: type[Config]) -> ConfigError:
    """Return the mistakes of a configuration as one line: key, value and what was expected."""
    mistakes: dict[KeyPath, Any] = {}
    for mistake in sorted(error.errors(), key=lambda mistake: mistake["type"] not in _UNKNOWN):
        mistakes.setdefault(_path(mistake, tree), mistake)
    # a list that is no text and whose third item is no number is one mistake: the one further in
    paths = [path for path in mistakes if not any(other[: len(path)] == path for other in mistakes if other != path)]
    explained = [_explain(path, mistakes[path], model) for path in paths[:_MOST_EXPLAINED]]
    more = [f"{len(paths) - _MOST_EXPLAINED} more"] if len(paths) > _MOST_EXPLAINED else []
    return ConfigError(legible("; also: ".join([*explained, *more])))


def dotted(path: KeyPath) -> str:
    """Return ``students.0.name`` for ``("students", 0, "name")``."""
    return ".".join(map(str, path))


def _path(mistake: Any, tree: object) -> KeyPath:
    """Return the path of a mistake, without the names that pydantic gives to the members of a union."""
    path: KeyPath = ()
    for part in mistake["loc"]:
        inside: Any = dict(enumerate(tree)) if is_list(tree) else tree
        if isinstance(inside, Mapping) and part in inside:
            path, tree = (*path, part), inside[part]
    missing = mistake["type"] == "missing" and isinstance(mistake["loc"][-1], str)
    return (*path, mistake["loc"][-1]) if missing else path


def _explain(path: KeyPath, mistake: Any, model: type[Config]) -> str:
    if mistake["type"] in _UNKNOWN:
        return unknown_key(tuple(map(str, path)), model)
    if mistake["type"] == "value_error":
        reason = str(mistake["ctx"]["error"])
        return f"{dotted(path)}: {reason}" if path else reason
    annotation, constraints = field_at(path, model) or (None, ())
    if mistake["type"] == "missing" and not is_list(mistake["input"]):
        return f"{dotted(path)} is missing: expected {expected(annotation, constraints)}"
    required = expected(annotation, constraints) if annotation else str(mistake["msg"])
    return f"{dotted(path)} is {shown(mistake['input'])}, expected {required}{_hint(mistake['input'], annotation)}"


def shown(value: object) -> str:
    """Return a value as YAML writes it, cut to a readable length."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    short = reprlib.Repr()
    short.maxlevel = 3  # six parts of six parts: a line stays a line
    short.maxstring = short.maxother = 60
    text = short.repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]} ..."


def _hint(value: object, annotation: object) -> str:
    if isinstance(value, Mapping) and item(annotation):
        return ": begin each item of the list with '- '"
    if item(annotation) and isinstance(value, str):
        return f": write [{value}]"
    if str in options(annotation) and isinstance(value, bool | int | float):
        return ": put it in quotes"
    if value is None and section(annotation):
        return ": it cannot be switched off"
    if isinstance(value, str) and annotation:
        near = difflib.get_close_matches(value, expected(annotation).replace(",", "").split(), n=1)
        return f": did you mean {near[0]}?" if near else ""
    return ""


def unknown_key(path: Sequence[str], model: type[Config]) -> str:
    """Return the message that a key does not exist, and which one was meant: here, below, or elsewhere."""
    name, parent = path[-1], tuple(int(part) if part.isdecimal() else part for part in path[:-1])
    place = field_at(parent, model)
    inside = section(place[0]) if place else None
    here = tuple(inside.model_fields) if inside else ()
    prefix = f"{dotted(parent)}." if parent else ""
    homes = [key for key in known_keys(model) if key.rpartition(".")[2] == name]
    below = [key for key in homes if parent and key.startswith(prefix)]
    near = difflib.get_close_matches(name, here, n=1)
    near_elsewhere = difflib.get_close_matches(name, [key.rpartition(".")[2] for key in known_keys(model)], n=1)
    if below or (homes and not near):
        way_out = f"{name} is a key of {_places(below or homes)}"
    elif near:
        way_out = f"did you mean {prefix}{near[0]}?"
    elif near_elsewhere:
        way_out = f"did you mean {next(k for k in known_keys(model) if k.rpartition('.')[2] == near_elsewhere[0])}?"
    else:
        way_out = f"{dotted(parent) or 'a configuration'} has the keys {either(here)}"
    return f"{dotted(tuple(path))} is not a known key: {way_out}"


def _places(keys: Sequence[str]) -> str:
    """Return the sections that have a key: a single one with the whole key, or the first few."""
    sections = [key.rpartition(".")[0] or "the top level" for key in keys]
    if len(keys) == 1:
        return f"{sections[0]}: write {keys[0]}"
    more = len(keys) - _SHOWN_ELSEWHERE
    listed = ", ".join(sections[:_SHOWN_ELSEWHERE]) + (f" and {more} more" if more > 0 else "")
    return f"{listed}: write it there, e.g. {keys[0]}"
