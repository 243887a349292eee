"""A commented configuration: every key with its meaning, its type and its default.

All of it comes from the models, so a new key appears here as soon as it is declared. The text loads back to the same
configuration.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic.fields import FieldInfo

from pipeline.config.base import Config
from pipeline.config.load import layered
from pipeline.config.merge import Tree
from pipeline.config.recipes import recipe_text, recipe_tree, split_per_task
from pipeline.config.run import RunConfig
from pipeline.config.schema import complete, default, expected, item, options, plain, section
from pipeline.config.yaml_text import one_line

_WIDTH = 110
_OFF = "Switched off. To use it, delete null and the '# ' before each key:"
_VARIES = "The recipe sets it by GLUE task; uncomment to set it for all"


def commented(source: RunConfig | str) -> str:
    """Return the YAML text of a configuration, or of the recipe of that name, with a comment for each key.

    The text of a recipe with values per task names the recipe, and these keys are commented out.

    Raises:
        ConfigError: there is no recipe of that name.
    """
    if isinstance(source, RunConfig):
        return _text(["# Every key, with its default; delete what you leave as it is."], plain(source), frozenset())
    values, per_task = split_per_task(recipe_tree(source), f"recipe {source}")
    varying = frozenset(path for changes in per_task.values() for path in _leaves(changes))
    head = [line for line in recipe_text(source).splitlines() if line.startswith("#")]
    return _text([*head, f"recipe: {source}"] if per_task else head, layered([(values, {})], {}), varying)


def _text(head: Sequence[str], tree: Tree, varying: frozenset[str]) -> str:
    lines = [*head, *_section(RunConfig, tree, complete({}, RunConfig), varying)]
    return "\n".join(lines) + "\n"


def _leaves(tree: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _section(
    model: type[Config], tree: Mapping[str, object], usual: Mapping[str, object], varying: frozenset[str], at: str = ""
) -> Iterator[str]:
    """Yield the lines of a section without indentation; ``at`` is its dotted path, ``usual`` its defaults."""
    after_section = False
    for name, field in model.model_fields.items():
        value, path = tree.get(name), f"{at}{name}"
        inside, member = section(field.annotation), section(item(field.annotation))
        model_inside = inside or member
        heading = _comment(_heading(field, model_inside)) if model_inside else []
        if not at and (heading or after_section):
            yield ""
        after_section = bool(heading)
        if inside and isinstance(value, Mapping) and path in varying:
            yield from (*heading, f"# {name}: {one_line(value)}  # {_VARIES}")
        elif inside and isinstance(value, Mapping):
            defaults = usual.get(name)
            defaults = defaults if isinstance(defaults, Mapping) else complete({}, inside)
            yield from (*heading, f"{name}:")
            yield from _indented(_section(inside, value, defaults, varying, f"{path}."))
        elif member and isinstance(value, list) and value:
            yield from (*heading, f"{name}:")
            yield from _items(member, value, varying, f"{path}.")
        elif inside and value is None and str not in options(field.annotation):
            defaults = default(field) or complete({}, inside)
            # null would replace the recipe's values for the task
            set_by_task = any(key == path or key.startswith(f"{path}.") for key in varying)
            yield from (*heading, f"# {_OFF}", f"# {name}: null" if set_by_task else f"{name}: null")
            yield from _indented(f"# {line}" for line in _section(inside, defaults, defaults, varying, f"{path}."))
        elif path in varying:
            yield f"# {name}: {one_line(value)}  # {_VARIES}"
        else:
            yield from _key(f"{name}: {one_line(value)}", _note(field, usual.get(name)))
    yield from (f"{name}: {one_line(value)}" for name, value in tree.items() if name not in model.model_fields)


def _items(model: type[Config], items: list[Any], varying: frozenset[str], at: str) -> Iterator[str]:
    """Yield the lines of a list's items; under their names if a list would replace a recipe's values per task."""
    by_name = any(key.startswith(at) for key in varying)
    for part in items:
        lines = _section(model, part, complete({}, model), varying, f"{at}{part['name'] if by_name else 0}.")
        if by_name:
            rest = (line for line in lines if not line.startswith("name: "))
            yield from _indented(iter((f"{part['name']}:", *_indented(rest))))
        else:
            yield from _list_item(lines)


def _key(line: str, note: str) -> list[str]:
    """Return a key with its comment beside it, or above it if the line would be too long."""
    beside = f"{line}  # {note}"
    return [beside] if len(beside) <= _WIDTH else [*_comment(note), line]


def _comment(note: str) -> list[str]:
    return textwrap.wrap(note, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _about(field: FieldInfo) -> str:
    return ": ".join(words.rstrip(".") for words in (field.title, field.description) if words)


def _note(field: FieldInfo, usual: object) -> str:
    takes = expected(field.annotation, field.metadata)
    known = "required" if field.is_required() else f"default {one_line(usual)}"
    return "; ".join(words for words in (_about(field), takes, known) if words)


def _heading(field: FieldInfo, model: type[Config]) -> str:
    return _about(field) or (model.__doc__ or "").splitlines()[0]


def _indented(lines: Iterator[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _list_item(lines: Iterator[str]) -> Iterator[str]:
    """Yield the lines of an item of a list, with a dash before its first key."""
    dash = "- "
    for line in lines:
        here = dash if not line.startswith("#") else "  "
        yield f"  {here}{line}"
        dash = dash if here != dash else "  "
