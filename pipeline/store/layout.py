"""Where everything lies in a store; names only, nothing here touches the disk.

<store>/<stage>/v0007-<12 hex>/     artifacts: files and manifest.json
<store>/.work/<fingerprint>/        unfinished work: output, scratch, inputs.json
<store>/.teacher-store/<key>/       teacher features, a cache
<store>/.locks/  .leases/  .tags/  .quarantine/  .trash/  .digests.json
"""

import re
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "manifest.json"
SHORT = 12
FOLDER_NAME = re.compile(rf"v(?P<version>\d{{4,}})-(?P<short>[0-9a-f]{{{SHORT}}})")


def folder_name(version: int, fingerprint: str) -> str:
    """Name of an artifact's folder: a number people can say, and the fingerprint's beginning."""
    return f"v{version:04d}-{fingerprint[:SHORT]}"


def reference(stage: str, version: int, fingerprint: str) -> str:
    """How an artifact is called: ``teacher/v0003-1a2b3c4d5e6f``."""
    return f"{stage}/{folder_name(version, fingerprint)}"


@dataclass(frozen=True)
class Layout:
    """Paths inside the store at ``root``."""

    root: Path

    @property
    def quarantine(self) -> Path:
        """Damaged artifacts, moved aside."""
        return self.root / ".quarantine"

    @property
    def trash(self) -> Path:
        """Folders on their way out; emptied by ``prune``."""
        return self.root / ".trash"

    @property
    def tags(self) -> Path:
        """One small file a tag."""
        return self.root / ".tags"

    @property
    def works(self) -> Path:
        """One folder for each piece of unfinished work."""
        return self.root / ".work"

    @property
    def teacher_store(self) -> Path:
        """One folder for each table of teacher features."""
        return self.root / ".teacher-store"

    @property
    def leases(self) -> Path:
        """One small file for each living run."""
        return self.root / ".leases"

    @property
    def digests(self) -> Path:
        """The digest cache."""
        return self.root / ".digests.json"

    def work(self, fingerprint: str) -> Path:
        """Unfinished work for a fingerprint."""
        return self.works / fingerprint

    def lock(self, name: str) -> Path:
        """Lock file for a fingerprint or a stage's version numbers."""
        return self.root / ".locks" / f"{name}.lock"

    def stage(self, name: str) -> Path:
        """Every artifact of a stage."""
        return self.root / name
