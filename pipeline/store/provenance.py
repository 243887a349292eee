"""Where a result was made: versions of the libraries, of Python, of the machine, of the code."""

import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PACKAGES = (
    "accelerate", "datasets", "jieba", "nlpaug", "numpy", "prefect", "pyarrow", "pydantic", "safetensors",
    "scikit-learn", "scipy", "tinybert-pipeline", "tokenizers", "torch", "transformers",
)  # fmt: skip
# Those that compute, or cut a text into what is computed with: another version may give another result.
DECISIVE = (
    *("accelerate", "datasets", "jieba", "nlpaug", "numpy", "scikit-learn", "scipy"),
    *("tokenizers", "torch", "transformers"),
)


def other_versions(then: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Libraries that may change a result, in another version now than then: name -> then, now.

    Args:
        then: versions of an artifact's manifest; what it does not name is not compared.
    """
    now = packages()
    pairs = {name: (then[name], now.get(name, "not installed")) for name in DECISIVE if name in then}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def packages() -> dict[str, str]:
    """Installed version of each library that can change a result, without importing any."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """Operating system and processor in one line."""
    return platform.platform()


def python() -> str:
    """Version of the interpreter."""
    return platform.python_version()


def git_commit() -> str | None:
    """Commit of this project's own checkout, with ``-dirty`` if files differ from it; None outside a repository."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True, cwd=PROJECT)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
