"""Pruning keeps artifacts that are new, tagged or in use, and all that these were built from; the others are removed.

They are moved to the trash, descendants first, and deleted there: after a crash every artifact in the store still has
its inputs, and the next pruning empties the trash.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.config.runtime import Retention
from pipeline.errors import StoreError
from pipeline.store.artifact import Artifact
from pipeline.store.disk import folder_bytes
from pipeline.store.layout import Layout
from pipeline.store.locks import is_free

DAYS = Retention().days
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Unneeded:
    """An artifact or leftover that may be removed: its reference (path in the store), its path, its size in bytes."""

    ref: str
    path: Path
    size: int


def prunable(artifacts: Iterable[Artifact], keep: int, needed: Iterable[str]) -> list[Artifact]:
    """Return artifacts that nothing kept depends on, each before those it was made from, else oldest first.

    Args:
        artifacts: all artifacts of the store.
        keep: how many of the newest to keep of each stage.
        needed: references to keep besides: tags, inputs of unfinished work, artifacts that living runs use.
    """
    by_ref = {artifact.ref: artifact for artifact in artifacts}
    stages: dict[str, list[Artifact]] = {}
    for artifact in sorted(by_ref.values(), key=lambda artifact: -artifact.manifest.version):
        stages.setdefault(artifact.manifest.stage, []).append(artifact)
    kept: set[str] = set()
    pending = [*needed, *(artifact.ref for versions in stages.values() for artifact in versions[:keep])]
    while pending:
        ref = pending.pop()
        if ref in by_ref and ref not in kept:
            kept.add(ref)
            pending += _input_refs(by_ref[ref])
    gone = {ref: artifact for ref, artifact in by_ref.items() if ref not in kept}

    @cache
    def height(ref: str) -> int:
        return 1 + max((height(below) for below in _input_refs(gone[ref]) if below in gone), default=0)

    return sorted(gone.values(), key=lambda a: (-height(a.ref), a.manifest.stage, a.manifest.version))


def leftovers(layout: Layout, days: float) -> Iterator[Unneeded]:
    """Yield what has not changed for some days: abandoned work, teacher features, quarantine, half-written files."""
    for folder in (layout.works, layout.teacher_store, layout.quarantine):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if _untouched(path, days) and (folder != layout.works or is_free(layout.lock(path.name))):
                yield Unneeded(f"{folder.name}/{path.name}", path, folder_bytes(path))
    for path in sorted([*layout.root.glob(".*.draft"), *layout.tags.glob("*.draft")]):
        if _untouched(path, days):
            yield Unneeded(path.relative_to(layout.root).as_posix(), path, path.lstat().st_size)


def refuse_links(layout: Layout) -> None:
    """Raise StoreError if one of the store's own folders is a link: what it leads to is not the store's."""
    folders = (layout.works, layout.teacher_store, layout.quarantine, layout.trash, layout.tags, layout.leases)
    linked = next((folder for folder in folders if folder.is_symlink()), None)
    if linked is not None:
        raise StoreError(f"{linked} is a link, and pruning follows none: replace it by a folder")


def _input_refs(artifact: Artifact) -> list[str]:
    return [record.ref for record in artifact.manifest.inputs.values() if record.ref]


def _untouched(path: Path, days: float) -> bool:
    """Return whether nothing in a folder changed for ``days``; a clock that was set back only keeps things longer."""
    try:
        newest = max(entry.lstat().st_mtime for entry in (path, *path.rglob("*")))
    except FileNotFoundError:  # another process is changing it
        return False
    return time.time() - newest >= days * DAY_SECONDS
