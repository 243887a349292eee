"""Where everything lies in a store; names only, nothing here touches the disk.

<store>/<stage>/v0007-<12 hex>/     artifacts: files and manifest.json
<store>/.work/<fingerprint>/        unfinished work: output, scratch, inputs.json
<store>/.teacher-store/<key>/       teacher features, a cache
<store>/.locks/  .leases/  .tags/  .quarantine/  .trash/  .digests.json
"""

import re
from pathlib import Path

MANIFEST = "manifest.json"
SHORT = 12
FOLDER_NAME = re.compile(rf"v(?P<version>\d{{4,}})-(?P<short>[0-9a-f]{{{SHORT}}})")


def folder_name(version: int, fingerprint: str) -> str:
    """Return the name of an artifact's folder: its version and the first digits of its fingerprint."""
    return f"v{version:04d}-{fingerprint[:SHORT]}"


def reference(stage: str, version: int, fingerprint: str) -> str:
    """Return the reference of an artifact, such as ``teacher/v0003-1a2b3c4d5e6f``."""
    return f"{stage}/{folder_name(version, fingerprint)}"


class Layout:
    """Paths inside a store.

    Args:
        root: folder of the store.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.quarantine = root / ".quarantine"  # damaged artifacts, moved aside
        self.trash = root / ".trash"  # folders that are being deleted; emptied by ``prune``
        self.tags = root / ".tags"  # one small file a tag
        self.works = root / ".work"  # one folder for each piece of unfinished work
        self.teacher_store = root / ".teacher-store"  # one folder for each table of teacher features
        self.leases = root / ".leases"  # one small file for each running process
        self.digests = root / ".digests.json"  # the digest cache

    def work(self, fingerprint: str) -> Path:
        """Return the folder of unfinished work for a fingerprint."""
        return self.works / fingerprint

    def lock(self, name: str) -> Path:
        """Return the lock file for a fingerprint or a stage's version numbers."""
        return self.root / ".locks" / f"{name}.lock"

    def stage(self, name: str) -> Path:
        """Return the folder of a stage's artifacts."""
        return self.root / name
