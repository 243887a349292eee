"""A configuration is layers: defaults < recipe < the recipe's task < the user's file < overrides.

Each layer may be partial; what it names lies over the one beneath (``merge``), and only the whole is checked.

An override is ``key.sub=value``. The value is a YAML list, mapping or quoted text when it begins like one, else a bare
word: a number, true, false, null, or text in which no sign means anything (``task.text=#1 String``).
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path

from pydantic import ValidationError

from pipeline.config.explain import config_error, shown
from pipeline.config.merge import Tree, lay, merge_mappings
from pipeline.config.recipes import for_task, recipe_tree, recipes, split_per_task
from pipeline.config.run import RunConfig
from pipeline.config.schema import complete, plain
from pipeline.config.yaml_text import block, legible, read_scalar, read_yaml
from pipeline.errors import ConfigError

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s'\"]+(?=@)")


def load_config(path: str | None, overrides: Sequence[str], recipe: str | None = None) -> RunConfig:
    """Load a configuration from a file, a recipe, both, or neither, and apply the overrides.

    Args:
        path: YAML file; it may name the recipe it starts from at its top (``recipe: NAME``).
        overrides: ``key.sub=value``, the last one wins.
        recipe: the recipe to start from.

    Raises:
        ConfigError: a file that cannot be read, a key that does not exist, a value that does not fit.
    """
    changes = parse_overrides(overrides)
    if "recipe" in changes:
        raise ConfigError("recipe cannot be overridden: choose one with --recipe NAME, or recipe: NAME in the file")
    document = read_file(path) if path is not None else {}
    start = _start(document, recipe, path)
    documents = [(recipe_tree(start), f"recipe {start}")] if start else []
    documents.append(({key: value for key, value in document.items() if key != "recipe"}, str(path)))
    return validated(layered([split_per_task(*pair) for pair in documents], changes))


def layered(documents: Sequence[tuple[Tree, Mapping[str, Tree]]], changes: Tree) -> Tree:
    """Merge the documents, each (values, values per task), in their order, and then the changes."""
    bottom = complete({}, RunConfig)
    task = reduce(lay, [*(values for values, _ in documents), changes], bottom).get("task")
    name = task.get("name") if isinstance(task, Mapping) else None
    layers = [layer for values, per_task in documents for layer in (values, for_task(per_task, name))]
    return complete(reduce(lay, [*layers, changes], bottom), RunConfig)


def validated(tree: Tree) -> RunConfig:
    """Return the configuration of a tree; raise its mistakes as one ConfigError."""
    try:
        return RunConfig.model_validate(tree)
    except ValidationError as error:
        raise config_error(error, tree, RunConfig) from None


def read_file(path: str) -> Tree:
    """Read the top-level keys of a YAML file.

    Raises:
        ConfigError: the file is missing, empty, not UTF-8, not YAML, or does not hold keys and values.
    """
    try:
        text = Path(path).expanduser().read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        names = [name for name, _ in recipes()]
        hint = f"to start from the recipe, write --recipe {path}" if path in names else _near(path)
        msg = f"{path} does not exist: {hint}"
    except IsADirectoryError:
        msg = f"{path} is a folder: name a YAML file in it"
    except UnicodeDecodeError as error:
        msg = f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8"
    except (OSError, ValueError, RuntimeError) as error:
        msg = f"{path} cannot be read ({getattr(error, 'strerror', None) or error}): name a YAML file"
    else:
        return _mapping(read_yaml(text, path), path)
    raise ConfigError(legible(msg))


def to_yaml(config: RunConfig) -> str:
    """Return the whole configuration as YAML, with every key, without the credentials of addresses."""
    return _CREDENTIALS.sub("***", block(plain(config)))


def _near(path: str) -> str:
    """Return a hint at the YAML file in the same folder that may have been meant."""
    missing = Path(path).expanduser()
    beside = sorted(one.name for pattern in ("*.yaml", "*.yml") for one in missing.parent.glob(pattern))
    same = [name for name in beside if Path(name).stem == missing.stem]
    near = same or difflib.get_close_matches(missing.name, beside, n=1)
    return f"did you mean {missing.parent / near[0]}?" if near else "tinybert init writes one"


def _mapping(value: object, path: str) -> Tree:
    if value is None:
        raise ConfigError(f"{path} is empty: name a teacher and a task in it, or a recipe to start from (recipe: demo)")
    if not isinstance(value, dict):
        raise ConfigError(f"{path} holds {shown(value)}: expected keys and values, such as name: my-run")
    return value


def _start(document: Tree, recipe: str | None, path: str | None) -> str | None:
    named = document.get("recipe")
    names = ", ".join(name for name, _ in recipes())
    if named is not None and not isinstance(named, str):
        raise ConfigError(f"recipe is {shown(named)}, expected the name of a recipe: {names}")
    if recipe is not None and named is not None and recipe != named:
        raise ConfigError(f"{path} starts from recipe {named!r}, but {recipe!r} was asked for: drop one of them")
    return named if recipe is None else recipe


def parse_overrides(overrides: Sequence[str]) -> Tree:
    """Return all overrides as one layer; a later one wins over an earlier one.

    Raises:
        ConfigError: one of them is not ``KEY=VALUE``, or its value is not YAML.
    """
    return reduce(merge_mappings, (_nested(*parse_override(text)) for text in overrides), {})


def parse_override(text: str) -> tuple[tuple[str, ...], object]:
    """Return (("task", "train_rows"), 8000) for ``task.train_rows=8000``."""
    name, equals, value = text.partition("=")
    path = tuple(part.strip() for part in name.split("."))
    if not equals or not all(path):
        raise ConfigError(f"override {text!r} is not KEY=VALUE: write it like task.train_rows=8000")
    return path, _value(value.strip(), legible(".".join(path)))


def _value(text: str, name: str) -> object:
    if not text:
        raise ConfigError(f"override {name}= has no value: write {name}=null to empty it or switch it off")
    if text[0] in "[{'\"":
        return read_yaml(text, f"override {name}={text}")
    try:
        return read_scalar(text)
    except ConfigError as error:
        raise ConfigError(f"override {name}: {error}") from None


def _nested(path: tuple[str, ...], value: object) -> Tree:
    return {path[0]: _nested(path[1:], value) if path[1:] else value}
