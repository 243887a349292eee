"""Where a result was made: versions of the libraries, of Python, of the machine, of the code."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PACKAGES = (
    "accelerate", "datasets", "nlpaug", "numpy", "prefect", "pyarrow", "pydantic", "safetensors",
    "scikit-learn", "scipy", "tinybert-pipeline", "tokenizers", "torch", "transformers",
)  # fmt: skip


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
