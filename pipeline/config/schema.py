"""Keys of the configuration, with their types and defaults, read from the pydantic models.

The loader needs the defaults, error messages the types and similar keys, and ``tinybert init`` all of it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from pipeline.config.base import Config
from pipeline.config.merge import Tree, is_items, is_list, merge, merge_mappings

KeyPath = tuple[str | int, ...]


def plain(value: object) -> Any:
    """Return a configuration value in plain types: models as dictionaries, tuples as lists."""
    if isinstance(value, Config):
        return {name: plain(part) for name, part in value}
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


def default(field: FieldInfo) -> Any:
    """Return the default of a key in plain types; None if it is required."""
    return None if field.is_required() else plain(field.get_default(call_default_factory=True))


def options(annotation: object) -> tuple[object, ...]:
    """Return the types of a union, or the single type."""
    if get_origin(annotation) in (Union, UnionType):
        return tuple(part for member in get_args(annotation) for part in options(member))
    return (annotation,)


def section(annotation: object) -> type[Config] | None:
    """Return the model of a section such as ``AugmentationConfig | None``; None for other annotations."""
    return next((o for o in options(annotation) if isinstance(o, type) and issubclass(o, Config)), None)


def item(annotation: object) -> object:
    """Return the type of a list's items; None if the annotation is no list."""
    arguments_of_lists = (get_args(option) for option in options(annotation) if get_origin(option) is tuple)
    return next((arguments[0] for arguments in arguments_of_lists), None)


def complete(tree: Mapping[str, object], model: type[Config]) -> Tree:
    """Return the tree with the defaults of the keys that it does not have.

    ``general_distillation: {training: {epochs: 1}}`` keeps the learning rate of general distillation, which
    is not that of every training. Missing required keys are not added; unknown keys are kept.
    """
    full: Tree = {}
    for name, field in model.model_fields.items():
        if name in tree:
            full[name] = _completed(tree[name], field)
        elif not field.is_required():
            full[name] = default(field)
    return full | {key: value for key, value in tree.items() if key not in full}


def _completed(value: object, field: FieldInfo) -> object:
    usual = default(field)
    model, member = section(field.annotation), section(item(field.annotation))
    if model and isinstance(value, Mapping):
        return complete(merge_mappings(usual, value) if isinstance(usual, dict) else value, model)
    if is_list(usual) and is_items(usual, value):
        value = merge(usual, value)
    if member and isinstance(value, Sequence) and not isinstance(value, str):
        return [complete(part, member) if isinstance(part, Mapping) else part for part in value]
    return value


def field_at(path: KeyPath, model: type[Config]) -> tuple[object, Sequence[object]] | None:
    """Return the annotation and the constraints of a dotted path; None if there is no such key."""
    annotation: object = model
    constraints: Sequence[object] = ()
    for part in path:
        inside = section(annotation)
        if inside and part in inside.model_fields:
            field = inside.model_fields[str(part)]
            annotation, constraints = field.annotation, field.metadata
        elif isinstance(part, int) and item(annotation):
            annotation, constraints = item(annotation), ()
        else:
            return None
    return annotation, constraints


@cache
def known_keys(model: type[Config], prefix: str = "") -> tuple[str, ...]:
    """Return every dotted key of a model and its sections; a list item is written as item 0."""
    return tuple(_walk(model, prefix))


def _walk(model: type[Config], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        inside, member = section(field.annotation), section(item(field.annotation))
        if inside or member:
            yield from known_keys(inside or member, f"{prefix}{name}." if inside else f"{prefix}{name}.0.")


def either(words: Sequence[str]) -> str:
    """Write ``a``, ``a or b``, ``a, b or c``."""
    return " or ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def expected(annotation: object, constraints: Sequence[object] = ()) -> str:
    """Write the values that a key accepts: ``a whole number above 0, rest or null``."""
    words: list[str] = []
    for option in options(annotation):
        words += _expected(option, constraints)
    return either(sorted(dict.fromkeys(words), key=lambda word: word == "null"))


_NAMES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    NoneType: "null",
    dict: "a section of names and values",
}


def _expected(option: object, constraints: Sequence[object]) -> list[str]:
    origin, arguments = get_origin(option), get_args(option)
    if origin is Annotated:
        return _expected(arguments[0], arguments[1:])
    if origin is Literal:
        return [str(choice) for choice in arguments]
    if origin is tuple:
        return [_list_of(arguments, constraints)]
    if isinstance(option, type) and issubclass(option, Config):
        return [f"a section with keys {', '.join(option.model_fields)}"]
    option = origin or option
    return [_NAMES[option] + (_bounds(constraints) if option in (int, float, str) else "")]  # type: ignore[index]


def _list_of(arguments: Sequence[object], constraints: Sequence[Any]) -> str:
    if arguments[-1] is not Ellipsis:
        return f"a list of {len(arguments)} ({', '.join(expected(part) for part in arguments)})"
    at_least = next((c.min_length for c in constraints if getattr(c, "min_length", None)), 0)
    items = re.sub(r"^a (whole number|number|section)", r"\1s", expected(arguments[0]))
    return f"a list of at least {at_least} of {items}" if at_least else f"a list of {items}"


def _bounds(constraints: Sequence[Any]) -> str:
    pattern = next((c.pattern for c in constraints if getattr(c, "pattern", None)), None)
    lower = [(c.ge, "of at least") for c in constraints if getattr(c, "ge", None) is not None]
    lower += [(c.gt, "above") for c in constraints if getattr(c, "gt", None) is not None]
    upper = [(c.le, "at most") for c in constraints if getattr(c, "le", None) is not None]
    upper += [(c.lt, "below") for c in constraints if getattr(c, "lt", None) is not None]
    words = [f"{word} {bound:g}" for bound, word in (*sorted(lower)[-1:], *sorted(upper)[:1])]
    words += [f"matching {pattern}"] if pattern else []
    return f" {' and '.join(words)}" if words else ""
