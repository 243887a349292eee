"""docker/compose.yaml as a test reads it: parsed, its variables filled in, an image's folders moved elsewhere."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

DOCKER = Path(__file__).parents[2] / "docker"
VARIABLE = re.compile(r"\$\$|\$\{(?P<name>\w+)(?:(?P<how>:[-?])(?P<text>[^}]*))?\}")


def read(name: str = "compose.yaml") -> dict[str, Any]:
    """The file as it is written, YAML's own shorthands resolved."""
    found: dict[str, Any] = yaml.safe_load((DOCKER / name).read_text(encoding="utf-8"))
    return found


def variables(value: Any) -> dict[str, bool]:
    """Variables that a value names -> whether compose refuses to start without them."""
    found: dict[str, bool] = {}
    for text in texts(value):
        for match in VARIABLE.finditer(text):
            if match["name"]:
                found[match["name"]] = found.get(match["name"], False) or match["how"] == ":?"
    return found


def filled(value: Any, given: Mapping[str, str]) -> Any:
    """The value with its variables filled in as compose does it."""

    def fill(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        answer = given.get(match["name"], "")
        assert answer or match["how"] != ":?", f"{match['name']}: {match['text']}"
        return answer or (match["text"] or "" if match["how"] == ":-" else "")

    return changed(value, lambda text: VARIABLE.sub(fill, text))


def changed(value: Any, change: Any) -> Any:
    """The value with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: changed(each, change) for name, each in value.items()}
    return [changed(each, change) for each in value] if isinstance(value, list) else value


def texts(value: Any) -> list[str]:
    """Every text in a value."""
    found: list[str] = []
    changed(value, lambda text: found.append(text) or text)
    return found
