"""Where a model is loaded from."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ModelSource:
    """The location of a model: a folder, or a hub id and a revision. Code that comes with a model is never run."""

    location: str
    revision: str = "main"

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments for ``from_pretrained``."""
        return {"revision": self.revision, "trust_remote_code": False}
