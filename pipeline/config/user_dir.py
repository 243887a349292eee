"""The project's folder in a user's home: running services, device locks, caches; it never holds a result."""

import os
from pathlib import Path

from pipeline.config.builtin import home_path

VARIABLE = "TINYBERT_HOME"


def user_dir() -> Path:
    """Return the folder that ``TINYBERT_HOME`` names, or ``~/.tinybert``, absolute; it may not exist yet."""
    return home_path(os.environ.get(VARIABLE) or "~/.tinybert").absolute()
