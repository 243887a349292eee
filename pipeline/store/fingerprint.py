"""A fingerprint is the SHA-256 of everything that decides a result, written as canonical JSON.

Canonical means that equal values give equal bytes: keys sorted, no spaces, ASCII only, floats as the shortest text that
reads back the same. A value without such a form (a set, an object, NaN) is refused by the path of its key.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def canonical(value: Any) -> bytes:
    """Return the canonical JSON of a value made of dict, list, tuple, str, int, bool, None and finite floats.

    Raises:
        TypeError: it contains another type; names its key path and the fix.
        ValueError: a float in it is NaN or infinite; names its key path and the fix.
    """
    _refuse(value, "value")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode("ascii")


def _refuse(value: object, path: str) -> None:
    """Raise an error for the first part of ``value`` that has no canonical form."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{path} is {value}: use a finite number, or None for a missing one")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{path} has the key {key!r} of type {type(key).__name__}: use a string")
            _refuse(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _refuse(item, f"{path}[{index}]")
    elif value is not None and not isinstance(value, (str, bool, int, float)):
        raise TypeError(
            f"{path} is a {type(value).__name__}, which has no canonical form: "
            "use dict, list, tuple, str, int, float, bool or None"
        )


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 of ``data``, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, 64 hex digits; the file is read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(stage: str, version: int, config: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Return the identity of a result before it exists: its stage, configuration and inputs.

    Args:
        stage: name of the stage.
        version: version of its code.
        config: its slice of the configuration, as JSON values.
        inputs: role -> fingerprint of an upstream stage, or digest of a source.

    Returns:
        64 hex digits.
    """
    identity = {"stage": stage, "version": version, "config": dict(config), "inputs": dict(inputs)}
    return digest_bytes(canonical(identity))
