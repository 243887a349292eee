"""Differences between two artifacts, or between an artifact and what a stage would make now."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.store.artifact import Artifact, InputRecord, Manifest

ABSENT = "(absent)"
Pairs = dict[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Diff:
    """Dotted key -> (value in a, value in b) of what differs; ``(absent)`` for a missing value."""

    config: Pairs
    inputs: Pairs
    metrics: Pairs
    files: Pairs


def diff(a: Artifact, b: Artifact) -> Diff:
    """Return the configuration keys, inputs, metrics and files that differ."""
    return Diff(
        config=differences(a.manifest.config, b.manifest.config),
        inputs=differences(_inputs(a.manifest), _inputs(b.manifest)),
        metrics=differences(a.metrics, b.metrics),
        files=_unequal(_files(a.manifest), _files(b.manifest)),
    )


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> Pairs:
    """Return the leaves of two nested values that differ, by dotted key, sorted."""
    return _unequal(flatten(a), flatten(b))


def flatten(value: Any, path: str = "") -> dict[str, Any]:
    """Return dotted key -> leaf: ``{"a": {"b": [1]}}`` gives ``{"a.b[0]": 1}``; an empty dict or list is a leaf."""
    if isinstance(value, dict) and value:
        items = [(f"{path}.{key}" if path else key, item) for key, item in value.items()]
    elif isinstance(value, (list, tuple)) and value:
        items = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    else:
        return {path: value} if path else {}
    return {key: leaf for place, item in items for key, leaf in flatten(item, place).items()}


def changes(
    old: Manifest, code_version: int, config: Mapping[str, Any], inputs: Mapping[str, InputRecord]
) -> list[str]:
    """Return one line for each difference between a stage as it is now and an artifact that it made before.

    Args:
        old: manifest of that artifact.
        code_version: version of the stage's code now.
        config: its configuration now.
        inputs: its inputs now, by role.
    """
    pairs = {role: (old.inputs[role], inputs[role]) for role in sorted(set(old.inputs) & set(inputs))}
    return [
        *([f"code version {old.code_version} -> {code_version}"] if old.code_version != code_version else []),
        *(
            f"configuration: {key} {_show(before)} -> {_show(now)}"
            for key, (before, now) in differences(old.config, config).items()
        ),
        *(
            f"input: {role} {_input_change(before, now)}"
            for role, (before, now) in pairs.items()
            if (before.digest, before.fingerprint) != (now.digest, now.fingerprint)
        ),
        *(f"input: {role} added" for role in sorted(set(inputs) - set(old.inputs))),
    ]


def _input_change(before: InputRecord, now: InputRecord) -> str:
    if before.ref and now.ref:
        return f"{before.ref} -> {now.ref}"
    if before.identity and now.identity:
        return f"{before.identity} -> {now.identity}"
    return "changed"


def _unequal(a: Mapping[str, Any], b: Mapping[str, Any]) -> Pairs:
    """Return the keys whose values differ; 1, 1.0 and True are different values, as in a fingerprint."""
    pairs = {key: (a.get(key, ABSENT), b.get(key, ABSENT)) for key in sorted({*a, *b})}
    return {key: pair for key, pair in pairs.items() if _show(pair[0]) != _show(pair[1])}


def _inputs(manifest: Manifest) -> dict[str, str]:
    """Return role -> name of the input, with the start of its digest."""
    return {
        role: f"{record.ref or record.identity or ' '.join(record.paths or [])} ({record.digest[:12]})"
        for role, record in manifest.inputs.items()
    }


def _files(manifest: Manifest) -> dict[str, str]:
    """Return file name -> size and the start of its digest."""
    return {name: f"{record.size} bytes ({record.sha256[:12]})" for name, record in manifest.files.items()}


def _show(value: object) -> str:
    """Return a value as a user would write it."""
    return value if value == ABSENT and isinstance(value, str) else json.dumps(value, ensure_ascii=False)
