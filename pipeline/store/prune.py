"""Pruning keeps what is new, tagged or in use, and whatever those were built from; the rest may go.

What goes is renamed into the trash, descendants first, and deleted there: a crash on the way leaves a store
in which everything has what it was made from, and a trash that the next pruning empties.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
    """What may go: an artifact, by its reference, or something hidden, by its place in the store; and its bytes."""

    ref: str
    path: Path
    size: int


def prunable(artifacts: Iterable[Artifact], keep: int, wanted: Iterable[str]) -> list[Artifact]:
    """Artifacts that nothing kept depends on; each before what it was made from, else oldest first.

    Args:
        artifacts: everything in the store.
        keep: how many of the newest to keep of each stage.
        wanted: references to keep besides: tags, inputs of unfinished work, what living runs use.
    """
    by_ref = {artifact.ref: artifact for artifact in artifacts}
    stages: dict[str, list[Artifact]] = {}
    for artifact in sorted(by_ref.values(), key=lambda artifact: -artifact.manifest.version):
        stages.setdefault(artifact.manifest.stage, []).append(artifact)
    kept: set[str] = set()
    pending = [*wanted, *(artifact.ref for versions in stages.values() for artifact in versions[:keep])]
    while pending:
        ref = pending.pop()
        if ref in by_ref and ref not in kept:
            kept.add(ref)
            pending += _made_from(by_ref[ref])
    gone = {ref: artifact for ref, artifact in by_ref.items() if ref not in kept}
    heights: dict[str, int] = {}

    def height(ref: str) -> int:
        if ref not in heights:
            heights[ref] = 1 + max((height(below) for below in _made_from(gone[ref]) if below in gone), default=0)
        return heights[ref]

    return sorted(gone.values(), key=lambda one: (-height(one.ref), one.manifest.stage, one.manifest.version))


def leftovers(layout: Layout, days: float) -> Iterator[Unneeded]:
    """What nobody has touched for some days: abandoned work, teacher features, quarantine, half-written files."""
    for folder in (layout.works, layout.teacher_store, layout.quarantine):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if _untouched(path, days) and (folder != layout.works or is_free(layout.lock(path.name))):
                yield Unneeded(f"{folder.name}/{path.name}", path, folder_bytes(path))
    for path in sorted([*layout.root.glob(".*.draft"), *layout.tags.glob("*.draft")]):
        if _untouched(path, days):
            yield Unneeded(path.relative_to(layout.root).as_posix(), path, path.lstat().st_size)


def refuse_links(layout: Layout) -> None:
    """Refuse to empty what a link leads to: it is not the store's.

    Raises:
        StoreError: one of the store's own folders is a link.
    """
    folders = (layout.works, layout.teacher_store, layout.quarantine, layout.trash, layout.tags, layout.leases)
    linked = next((folder for folder in folders if folder.is_symlink()), None)
    if linked is not None:
        raise StoreError(f"{linked} is a link, and pruning follows none: replace it by a folder")


def _made_from(artifact: Artifact) -> list[str]:
    """References of the artifacts that this one was made from."""
    return [record.ref for record in artifact.manifest.inputs.values() if record.ref]


def _untouched(path: Path, days: float) -> bool:
    """Whether nothing in a folder changed for so long; a clock that was set back only keeps things longer."""
    try:
        newest = max(each.lstat().st_mtime for each in (path, *path.rglob("*")))
    except FileNotFoundError:  # somebody is at it
        return False
    return time.time() - newest >= days * DAY_SECONDS
