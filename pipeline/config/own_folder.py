"""The project's own folder of a user: what runs on this machine and who trains where; never a result."""

import os
from pathlib import Path

from pipeline.config.builtin import home_path

VARIABLE = "TINYBERT_HOME"


def own_folder() -> Path:
    """The folder that ``TINYBERT_HOME`` names, or ``~/.tinybert``; nobody has made it yet."""
    return home_path(os.environ.get(VARIABLE) or "~/.tinybert").absolute()
