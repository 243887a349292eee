"""The catalog lists the artifacts of a store and finds them by reference; it also traces what they were made from.

A reference is how a user names an artifact; a tag is a name that the user gives to one:

    teacher                        the newest
    teacher/v3, teacher/v0003-...  that version
    best                           a tag
    1a2b3c                         the start of a fingerprint

References are compared with what is in the store; none can name a path outside it.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.store.artifact import Artifact, DamagedError, InputRecord, artifact_version, load_artifact
from pipeline.store.disk import write_atomic
from pipeline.store.layout import MANIFEST, SHORT, Layout
from pipeline.store.stage import STAGE_NAME

TAG_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
NUMBERED = re.compile(rf"(?P<stage>{STAGE_NAME.pattern})/v(?P<version>\d+)(?:-(?P<hex>[0-9a-f]+))?")
PREFIX = re.compile(r"[0-9a-f]{4,64}")


class Catalog:
    """Artifacts under a layout. Only manifests are read, each once per change; files are checked where they are used.

    Args:
        layout: the paths of the store.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._loaded: dict[Path, tuple[tuple[int, int, int], Artifact]] = {}

    def stages(self) -> list[str]:
        """Return the names of the stages that have artifacts, sorted."""
        if not self._layout.root.is_dir():
            return []
        return sorted(folder.name for folder in self._layout.root.iterdir() if self.folders(folder.name))

    def folders(self, stage: str) -> list[Path]:
        """Return the folders of a stage's artifacts, newest first; neither a name nor a link leads out of the store."""
        parent = self._layout.stage(stage)
        if not STAGE_NAME.fullmatch(stage) or parent.is_symlink() or not parent.is_dir():
            return []
        versions = ((artifact_version(path), path) for path in parent.iterdir() if not path.is_symlink())
        return [path for _, path in sorted(((version, path) for version, path in versions if version), reverse=True)]

    def load(self, folder: Path) -> Artifact:
        """Return the artifact in a folder; raises as ``load_artifact`` does."""
        stat = (folder / MANIFEST).stat()
        key = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if folder not in self._loaded or self._loaded[folder][0] != key:
            self._loaded[folder] = (key, load_artifact(folder))
        return self._loaded[folder][1]

    def scan(self, stage: str, fingerprint: str = "") -> tuple[list[Artifact], list[DamagedError]]:
        """Return the artifacts of a stage, newest first, and errors for those with a damaged manifest.

        Args:
            stage: name of the stage.
            fingerprint: only artifacts with this fingerprint; "" for all.
        """
        artifacts: list[Artifact] = []
        damaged: list[DamagedError] = []
        for folder in self.folders(stage):
            if not folder.name.endswith(fingerprint[:SHORT]):
                continue
            try:
                artifacts.append(self.load(folder))
            except FileNotFoundError:
                if folder.exists():  # else it has just been pruned
                    damaged.append(DamagedError(folder, f"{MANIFEST} is missing"))
            except DamagedError as error:
                damaged.append(error)
        return [artifact for artifact in artifacts if artifact.manifest.fingerprint.startswith(fingerprint)], damaged

    def all(self) -> Iterator[Artifact]:
        """Yield the artifacts of all stages, those of a stage newest first."""
        for stage in self.stages():
            yield from self.scan(stage)[0]

    def open(self, ref: str) -> Artifact:
        """Return the artifact that a reference names.

        Raises:
            StoreError: it names none, more than one, or a damaged one; suggests similar references.
        """
        tags = self.tags()
        if ref in tags:
            artifact = self._numbered(tags[ref])
            if artifact is None:
                raise StoreError(f"tag {ref!r} stands for {tags[ref]}, which is gone: untag it, or tag another")
            return artifact
        newest, damaged = self.scan(ref)
        if newest:
            return newest[0]
        if damaged:
            raise damaged[0]
        artifact = self._numbered(ref) or self._by_fingerprint(ref)
        if artifact is None:
            names = {*(artifact.ref for artifact in self.all()), *tags, *self.stages()}
            raise StoreError(f"no artifact is called {ref!r}{_suggestion(ref, names)}")
        return artifact

    def _numbered(self, ref: str) -> Artifact | None:
        """Return the artifact with a stage and version number; None if there is none."""
        match = NUMBERED.fullmatch(ref)
        if match is None:
            return None
        for folder in self.folders(match["stage"]):
            short = folder.name.partition("-")[2]
            if artifact_version(folder) == int(match["version"]) and short.startswith(match["hex"] or ""):
                with suppress(FileNotFoundError):
                    return self.load(folder)
        return None

    def _by_fingerprint(self, ref: str) -> Artifact | None:
        """Return the newest artifact whose fingerprint starts with ``ref``, if only one fingerprint does."""
        if PREFIX.fullmatch(ref) is None:
            return None
        matches = [artifact for artifact in self.all() if artifact.manifest.fingerprint.startswith(ref)]
        if len({artifact.manifest.fingerprint for artifact in matches}) > 1:
            names = ", ".join(sorted(artifact.ref for artifact in matches))
            raise StoreError(f"{ref!r} may mean {names}: write more of the fingerprint")
        return matches[0] if matches else None

    def tags(self) -> dict[str, str]:
        """Return tag -> reference, sorted; each tag is a small file."""
        folder = self._layout.tags
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        refs = {name: _read_tag(folder / name) for name in names if TAG_NAME.fullmatch(name)}
        return {name: ref for name, ref in refs.items() if ref}

    def tag(self, name: str, artifact: Artifact) -> None:
        """Give the tag ``name`` to an artifact, whichever had it before."""
        if not TAG_NAME.fullmatch(name) or name.endswith(".draft"):
            raise StoreError(f"{name!r} cannot be a tag: use letters, digits, '.', '_' and '-', at most 100")
        write_atomic(self._layout.tags / name, json.dumps({"ref": artifact.ref}).encode())

    def untag(self, name: str) -> None:
        """Remove a tag; the artifact stays."""
        tags = self.tags()
        if name not in tags:
            raise StoreError(f"there is no tag {name!r}{_suggestion(name, tags)}")
        (self._layout.tags / name).unlink(missing_ok=True)


def _read_tag(path: Path) -> str | None:
    """Return the reference in a tag's file; None if it is not such a file."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    ref = value.get("ref") if isinstance(value, dict) else None
    return ref if isinstance(ref, str) and not path.name.endswith(".draft") else None


def _suggestion(wrong: str, names: Iterable[str]) -> str:
    """Return the end of a message about a wrong name: the most similar names, or what to do."""
    known = sorted(names)
    near = get_close_matches(wrong, known, n=3, cutoff=0.5)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return "; tinybert artifacts list shows what there is" if known else "; there is none in this store yet"


@dataclass(frozen=True)
class Lineage:
    """One node of the tree of what an artifact was made from.

    Args:
        role: its role as an input of the node above; empty at the top.
        name: reference of an artifact; identity or paths of a source.
        digest: digest of its content at the time it was used.
        artifact: None for a source, or for an artifact that is no longer in the store.
        inputs: the nodes it was made from.
    """

    role: str
    name: str
    digest: str
    artifact: Artifact | None
    inputs: "tuple[Lineage, ...]" = ()


def lineage(artifact: Artifact, layout: Layout, catalog: Catalog, role: str = "") -> Lineage:
    """Return the tree of everything that an artifact was made from."""
    inputs = tuple(_node(r, record, layout, catalog) for r, record in sorted(artifact.manifest.inputs.items()))
    return Lineage(role, artifact.ref, artifact.manifest.digest, artifact, inputs)


def _node(role: str, record: InputRecord, layout: Layout, catalog: Catalog) -> Lineage:
    """Return the node of one recorded input."""
    if record.ref is None:
        return Lineage(role, record.identity or " ".join(record.paths or []), record.digest, None)
    try:
        return lineage(catalog.load(layout.root / record.ref), layout, catalog, role)
    except (FileNotFoundError, StoreError):
        return Lineage(role, record.ref, record.digest, None)
