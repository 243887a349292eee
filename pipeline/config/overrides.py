"""An override is ``key.sub=value``: a place in the configuration and what to put there.

The value is a YAML list, mapping or quoted text when it begins like one, else a bare word: a number, true,
false, null, or text in which no sign means anything (``task.text=#1 String``, ``corpus.paths=*.txt``).
"""

from collections.abc import Sequence
from functools import reduce

from pipeline.config.merge import Tree, merge_mappings
from pipeline.config.yaml_text import legible, read_scalar, read_yaml
from pipeline.errors import ConfigError


def parse_overrides(overrides: Sequence[str]) -> Tree:
    """All overrides as one layer; a later one wins over an earlier one.

    Raises:
        ConfigError: one of them is not ``KEY=VALUE``, or its value is not YAML.
    """
    return reduce(merge_mappings, (_nested(*parse_override(text)) for text in overrides), {})


def parse_override(text: str) -> tuple[tuple[str, ...], object]:
    """``task.train_rows=8000`` as (("task", "train_rows"), 8000)."""
    name, equals, value = text.partition("=")
    path = tuple(part.strip() for part in name.split("."))
    if not equals or not all(path):
        msg = f"override {text!r} is not KEY=VALUE: write it like task.train_rows=8000"
        raise ConfigError(msg)
    return path, _value(value.strip(), legible(".".join(path)))


def _value(text: str, name: str) -> object:
    if not text:
        msg = f"override {name}= has no value: write {name}=null to empty it or switch it off"
        raise ConfigError(msg)
    if text[0] in "[{'\"":
        return read_yaml(text, f"override {name}={text}")
    try:
        return read_scalar(text)
    except ConfigError as error:
        msg = f"override {name}: {error}"
        raise ConfigError(msg) from None


def _nested(path: tuple[str, ...], value: object) -> Tree:
    return {path[0]: _nested(path[1:], value) if path[1:] else value}
