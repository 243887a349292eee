"""A reference is how a person names an artifact; a tag is a name of their own that stands for one.

    teacher                        the newest
    teacher/v3, teacher/v0003-...  that one
    best                           a tag
    1a2b3c                         the beginning of a fingerprint

References are matched against what is there and never joined into a path, so none can leave the store.
"""

import json
import re
from difflib import get_close_matches

from pipeline.errors import StoreError
from pipeline.store.artifact import Artifact, artifact_version
from pipeline.store.catalog import Catalog
from pipeline.store.disk import write_atomic
from pipeline.store.layout import Layout

TAG_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
NUMBERED = re.compile(r"(?P<stage>[a-z][a-z0-9_]*)/v(?P<version>\d+)(?:-(?P<hex>[0-9a-f]+))?")
PREFIX = re.compile(r"[0-9a-f]{4,64}")


class Tags:
    """The tags of a store, one small file each."""

    def __init__(self, layout: Layout) -> None:
        self._folder = layout.tags

    def all(self) -> dict[str, str]:
        """Tag -> reference, sorted."""
        names = sorted(path.name for path in self._folder.iterdir()) if self._folder.is_dir() else []
        found = {name: self._read(name) for name in names if TAG_NAME.fullmatch(name)}
        return {name: ref for name, ref in found.items() if ref}

    def write(self, name: str, artifact: Artifact) -> None:
        """Let ``name`` stand for the artifact, whatever it stood for before."""
        if not TAG_NAME.fullmatch(name) or name.endswith(".draft"):
            raise StoreError(f"{name!r} cannot be a tag: use letters, digits, '.', '_' and '-', at most 100")
        write_atomic(self._folder / name, json.dumps({"ref": artifact.ref}).encode())

    def remove(self, name: str) -> None:
        """Forget a tag; the artifact stays."""
        known = self.all()
        if name not in known:
            raise StoreError(f"there is no tag {name!r}{suggest(name, known)}")
        (self._folder / name).unlink(missing_ok=True)

    def _read(self, name: str) -> str | None:
        """The reference a tag's file holds, or None if it is none of ours."""
        try:
            value = json.loads((self._folder / name).read_bytes())
        except (OSError, ValueError):
            return None
        ref = value.get("ref") if isinstance(value, dict) else None
        return ref if isinstance(ref, str) and not name.endswith(".draft") else None


def open_ref(ref: str, catalog: Catalog, tags: dict[str, str]) -> Artifact:
    """The artifact that ``ref`` names.

    Raises:
        StoreError: it names none, more than one, or a damaged one; says which are near.
    """
    if ref in tags:
        artifact = _numbered(tags[ref], catalog)
        if artifact is None:
            raise StoreError(f"tag {ref!r} stands for {tags[ref]}, which is gone: untag it, or tag another")
        return artifact
    if ref in catalog.stages():
        newest, damaged = catalog.scan(ref)
        if newest:
            return newest[0]
        if damaged:
            raise damaged[0]
    artifact = _numbered(ref, catalog) or _by_fingerprint(ref, catalog)
    if artifact is None:
        names = {artifact.ref for stage in catalog.stages() for artifact in catalog.scan(stage)[0]}
        raise StoreError(f"no artifact is called {ref!r}{suggest(ref, names | set(tags) | set(catalog.stages()))}")
    return artifact


def _numbered(ref: str, catalog: Catalog) -> Artifact | None:
    """The artifact with that stage and number."""
    match = NUMBERED.fullmatch(ref)
    if match is None:
        return None
    for folder in catalog.folders(match["stage"]):
        _, _, short = folder.name.partition("-")
        if artifact_version(folder) == int(match["version"]) and short.startswith(match["hex"] or ""):
            try:
                return catalog.load(folder)
            except FileNotFoundError:
                continue
    return None


def _by_fingerprint(ref: str, catalog: Catalog) -> Artifact | None:
    """The newest artifact whose fingerprint starts with ``ref``, if only one fingerprint does."""
    if PREFIX.fullmatch(ref) is None:
        return None
    found = [
        artifact
        for stage in catalog.stages()
        for artifact in catalog.scan(stage)[0]
        if artifact.manifest.fingerprint.startswith(ref)
    ]
    if len({artifact.manifest.fingerprint for artifact in found}) > 1:
        names = ", ".join(sorted(artifact.ref for artifact in found))
        raise StoreError(f"{ref!r} may mean {names}: write more of the fingerprint")
    return found[0] if found else None


def suggest(wrong: str, names: "dict[str, str] | set[str]") -> str:
    """The end of a message about a wrong name: the nearest right ones, or what to do without any."""
    near = get_close_matches(wrong, sorted(names), n=3, cutoff=0.5)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return "; tinybert artifacts list shows what there is" if names else "; there is none in this store yet"
