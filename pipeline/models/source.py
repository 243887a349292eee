"""Where a model is loaded from."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ModelSource:
    """Where a model is: a folder, or a hub id and a revision. Code that comes with a model never runs."""

    location: str
    revision: str = "main"

    def options(self) -> dict[str, Any]:
        """Keyword arguments for ``from_pretrained``."""
        return {"revision": self.revision, "trust_remote_code": False}
