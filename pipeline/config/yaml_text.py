"""YAML of configurations, with every mistake reported in one line.

It is read as by ``yaml.safe_load`` with four differences: a repeated key is an error, ``2024-01-01`` is text, ``1e-4``
is a number (as in YAML 1.2), and a number of more than 63 bits is refused.
"""

import re
from typing import Any

import yaml

from pipeline.errors import ConfigError

_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = {_TAG + name for name in ("null", "bool", "int", "float")}
_LARGEST = 2**63
_EXPONENT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_HINTS = (
    ("'\\t'", "indent with spaces, not tabs"),
    ("mapping values are not allowed", "put text that holds ': ' in quotes"),
    ("alias", "put text that begins with * in quotes"),
    ("expected <block end>", "line the keys of a section up"),
    ("expected the node content", "put text that begins with a sign in quotes"),
    ("stream end", "close what is open: a bracket or a quote"),
    ("but found another document", "keep one document: delete the line ---"),
)


class _Loader(yaml.SafeLoader):
    """Safe YAML without repeated keys and without dates."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, Any], int] = {}
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else (key.tag, id(key))
            if name in lines:
                msg = f"key {key.value!r} is given twice (first on line {lines[name]}): keep one of them"
                raise yaml.constructor.ConstructorError(None, None, msg, key.start_mark)
            lines[name] = key.start_mark.line + 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep=deep)
        except (ValueError, KeyError, AttributeError, TypeError):
            value = _LARGEST
        if isinstance(value, int) and abs(value) >= _LARGEST:
            kind = node.tag.removeprefix(_TAG)
            msg = f"{str(node.value)[:40]!r} cannot be read as {kind}: put text in quotes"
            raise yaml.constructor.ConstructorError(None, None, msg, node.start_mark)
        return value


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TAG + "timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Dumper(yaml.SafeDumper):
    """Plain YAML: no anchors, text of several lines as one quoted line."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.Node:
    return dumper.represent_scalar(_TAG + "str", text, style='"' if _CONTROL.search(text) else None)


_Dumper.add_representer(str, _represent_text)
for _reads_or_writes in (_Loader, _Dumper):
    _reads_or_writes.add_implicit_resolver(_TAG + "float", _EXPONENT, list("-+0123456789."))


def read_yaml(text: str, where: str) -> Any:
    """Return the value of a YAML text.

    Raises:
        ConfigError: it is not YAML, or gives a key twice; names ``where``, line, column and the way out.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (a safe loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = " ".join(f"{error.problem or error.context}".split())
        message = f"{error.context} {problem}"
        hint = next((f": {way_out}" for sign, way_out in _HINTS if sign in message), "")
        msg = f"{where}{place}: {problem}{hint}"
    except yaml.YAMLError as error:
        msg = f"{where} is not text: {' '.join(str(error).split())[:160]}"
    except RecursionError:
        msg = f"{where} is nested too deeply to be a configuration: a configuration has at most 5 levels"
    raise ConfigError(legible(msg))


def read_scalar(text: str) -> Any:
    """Return the value of a bare word in YAML: a number, true, false, null, or the text itself."""
    loader = _Loader("")
    try:
        tag = loader.resolve(yaml.ScalarNode, text, (True, False))
        if tag not in _PLAIN_TAGS:
            return text
        return loader.construct_object(yaml.ScalarNode(tag, text))
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{error.problem}") from None
    finally:
        loader.dispose()


def legible(text: str) -> str:
    """Return a text on one line, with line ends and other control characters as escapes."""
    return _CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), text)


def one_line(value: object) -> str:
    """Return a value in YAML on one line, which can be read back in a block or inside brackets."""
    text = yaml.dump(
        [value], Dumper=_Dumper, default_flow_style=True, width=float("inf"), allow_unicode=True, sort_keys=False
    )
    return text.rstrip("\n")[1:-1]


def block(value: object) -> str:
    """Return a value in YAML, each key on a line, in their order."""
    return yaml.dump(value, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, sort_keys=False)
