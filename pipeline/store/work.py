"""Work is what a stage has not finished yet: an output that starts empty, a scratch that survives a crash.

Committing turns an output into an artifact by a single rename; a folder without a manifest is no artifact.
"""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.store.artifact import Artifact, FileRecord, InputRecord, Manifest, artifact_version, manifest_bytes
from pipeline.store.disk import delete, give_usual_mode, remove, sync, write_atomic
from pipeline.store.fingerprint import digest_file
from pipeline.store.layout import MANIFEST, Layout, folder_name

INPUTS = "inputs.json"


class WorkDir:
    """Unfinished work for one fingerprint; only the process that holds its lock may change it."""

    def __init__(self, layout: Layout, fingerprint: str) -> None:
        self.path = layout.work(fingerprint)
        self.output = self.path / "output"
        self.scratch = self.path / "scratch"
        self._trash = layout.trash

    def started(self, inputs: Mapping[str, InputRecord]) -> bool:
        """Return whether an earlier attempt with the same inputs left something in scratch.

        An upstream artifact may have been rebuilt since, under the same fingerprint but with other content (on another
        device, say); resuming would mix the two.
        """
        begun = read_inputs(self.path)
        fits = all(role in begun and begun[role]["digest"] == record.digest for role, record in inputs.items())
        return fits and self.scratch.is_dir() and any(self.scratch.iterdir())

    def open(self, inputs: Mapping[str, InputRecord]) -> None:
        """Empty the output, keep scratch if its inputs are the same, and record the inputs."""
        if not self.started(inputs):
            self.drop()
        elif self.output.exists():
            remove(self.output, self._trash)
        begun = {role: {"digest": record.digest, "ref": record.ref} for role, record in inputs.items()}
        write_atomic(self.path / INPUTS, json.dumps(begun, indent=2).encode())
        self.output.mkdir()
        self.scratch.mkdir(exist_ok=True)

    def drop(self) -> None:
        """Remove the work with its scratch."""
        if self.path.exists():
            remove(self.path, self._trash)


def read_inputs(work: Path) -> dict[str, dict[str, str | None]]:
    """Return role -> digest and reference (None for a source) of the inputs of unfinished work."""
    try:
        inputs: dict[str, dict[str, str | None]] = json.loads((work / INPUTS).read_bytes())
    except (OSError, ValueError):
        return {}
    return inputs


def needs(work: Path) -> list[str]:
    """Return the references of the artifacts that are inputs of unfinished work."""
    return [ref for record in read_inputs(work).values() if (ref := record["ref"])]


def record_files(output: Path) -> dict[str, FileRecord]:
    """Hash every file of an output, make it survive a power cut and give it the permissions of the umask.

    Raises:
        StoreError: it holds something that cannot be sealed: a link, a device, a manifest.
    """
    records = {}
    for parent, folders, files in os.walk(output):
        for name in sorted([*files, *(folder for folder in folders if (Path(parent) / folder).is_symlink())]):
            path = Path(parent) / name
            relative = path.relative_to(output).as_posix()
            if relative == MANIFEST or not stat.S_ISREG(path.lstat().st_mode):
                raise StoreError(f"a stage left {relative} in its output, which cannot be sealed: write a file")
            give_usual_mode(path)
            records[relative] = FileRecord(size=path.stat().st_size, sha256=digest_file(path))
            sync(path)
        sync(Path(parent))
    return dict(sorted(records.items()))


def next_version(layout: Layout, stage: str) -> int:
    """Return the next version number of a stage: one above its artifacts, damaged ones included."""
    names = [path.name for path in layout.stage(stage).glob("v*")]
    names += [path.name.split("~")[1] for path in layout.quarantine.glob(f"{stage}~*~*")]
    return 1 + max((artifact_version(Path(name)) or 0 for name in names), default=0)


def commit(layout: Layout, output: Path, manifest: Manifest) -> Artifact:
    """Seal an output whose files are recorded and move it to its place; the caller holds the stage's version lock."""
    target = layout.stage(manifest.stage) / folder_name(manifest.version, manifest.fingerprint)
    if target.parent.is_symlink():
        raise StoreError(f"{target.parent} is a link, and a store follows none: move what it leads to into its place")
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(output / MANIFEST, manifest_bytes(manifest))
    output.rename(target)
    sync(target.parent)
    sync(layout.root)
    return Artifact(target, manifest)


def empty_trash(layout: Layout) -> None:
    """Delete everything in the trash."""
    for path in layout.trash.iterdir() if layout.trash.is_dir() else ():
        delete(path)
