"""Provenance: the versions of the libraries and of the project's code that made a result."""

import subprocess
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PROJECT = Path(__file__).parents[2]
# Libraries that compute or tokenise: another version may give another result.
DECISIVE = (
    *("accelerate", "datasets", "jieba", "nlpaug", "numpy", "scikit-learn", "scipy"),
    *("tokenizers", "torch", "transformers"),
)
RECORDED = sorted([*DECISIVE, "prefect", "pyarrow", "pydantic", "safetensors", "tinybert-pipeline"])


def other_versions(then: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return the libraries that may change a result and have another version now: name -> (then, now).

    Args:
        then: versions in an artifact's manifest; libraries that it does not name are not compared.
    """
    now = packages()
    pairs = {name: (then[name], now.get(name, "not installed")) for name in DECISIVE if name in then}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def packages() -> dict[str, str]:
    """Return the installed version of each recorded library, without importing any."""
    versions = {}
    for name in RECORDED:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def git_commit() -> str | None:
    """Return the commit of the project's checkout, with ``-dirty`` if files differ; None outside a repository."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True, cwd=PROJECT)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
