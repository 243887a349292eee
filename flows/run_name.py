"""The name of a flow run: its configuration, when it began, and the changed keys."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

MOST_CHANGES = 3
LONGEST_CHANGE = 60
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s'\"]+(?=@)")


def run_name(name: str, began: datetime, changes: Sequence[str] = ()) -> str:
    """Return a name such as ``demo 2026-11-30 09:12 phases.prediction.training.epochs=5``.

    Args:
        name: name of the configuration.
        began: when the run began, on the clock of its machine.
        changes: ``key=value`` of each change of the configuration.
    """
    first = [_short(_CREDENTIALS.sub("***", change)) for change in changes[:MOST_CHANGES]]
    more = [f"and {len(changes) - MOST_CHANGES} more"] if len(changes) > MOST_CHANGES else []
    return " ".join([name, f"{began:%Y-%m-%d %H:%M}", *first, *more])


def differences(before: Any, after: Any, key: str = "") -> list[str]:
    """Return ``key=value`` of every changed value; an item of a list is named by its name if it has one."""
    if isinstance(before, Sequence) and isinstance(after, Sequence) and _names(before) == _names(after) != []:
        before, after = (dict(zip(_names(items), items, strict=True)) for items in (before, after))
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return [
            line
            for name in after
            for line in differences(before.get(name), after[name], f"{key}.{name}".removeprefix("."))
        ]
    return [] if before == after else [f"{key}={_spelt(after)}"]


def _names(items: Sequence[Any]) -> list[str]:
    """Return the names of a list's items; empty unless all have one."""
    names = [item.get("name") for item in items if isinstance(item, Mapping)]
    return [str(name) for name in names] if all(names) and len(names) == len(items) else []


def _short(change: str) -> str:
    return change if len(change) <= LONGEST_CHANGE else f"{change[: LONGEST_CHANGE - 3]}..."


def _spelt(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def as_template(name: str) -> str:
    """Return the template of Prefect's whose value is the name itself, braces and all."""
    return name.replace("{", "{{").replace("}", "}}")
