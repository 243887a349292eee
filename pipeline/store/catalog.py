"""The catalog is what lies in a store right now, read from manifests; a manifest is read once per change."""

from pathlib import Path

from pipeline.store.artifact import Artifact, DamagedError, artifact_version, load_artifact
from pipeline.store.layout import MANIFEST, SHORT, Layout
from pipeline.store.stage import STAGE_NAME


class Catalog:
    """Artifacts under a layout. Only manifests are read: files are checked where they are used."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._known: dict[Path, tuple[tuple[int, int, int], Artifact]] = {}

    def stages(self) -> list[str]:
        """Names of the stages that have artifacts, sorted."""
        if not self._layout.root.is_dir():
            return []
        return sorted(folder.name for folder in self._layout.root.iterdir() if self.folders(folder.name))

    def folders(self, stage: str) -> list[Path]:
        """Folders of a stage's artifacts, newest first; neither a name nor a link leads out of the store."""
        parent = self._layout.stage(stage)
        if not STAGE_NAME.fullmatch(stage) or parent.is_symlink() or not parent.is_dir():
            return []
        found = [(artifact_version(path), path) for path in parent.iterdir() if not path.is_symlink()]
        return [path for _, path in sorted((number, path) for number, path in found if number)][::-1]

    def load(self, folder: Path) -> Artifact:
        """The artifact in a folder; raises as ``load_artifact`` does."""
        stat = (folder / MANIFEST).stat()
        key = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = self._known.get(folder)
        if known is None or known[0] != key:
            known = self._known[folder] = (key, load_artifact(folder))
        return known[1]

    def scan(self, stage: str, fingerprint: str = "") -> tuple[list[Artifact], list[DamagedError]]:
        """Artifacts of a stage, newest first, and those whose manifest is damaged.

        Args:
            stage: its name.
            fingerprint: when given, only artifacts with this one.
        """
        whole: list[Artifact] = []
        damaged: list[DamagedError] = []
        for folder in self.folders(stage):
            if fingerprint and not folder.name.endswith(fingerprint[:SHORT]):
                continue
            try:
                artifact = self.load(folder)
            except FileNotFoundError:
                if folder.exists():  # else somebody has just pruned it
                    damaged.append(DamagedError(folder, f"{MANIFEST} is missing"))
                continue
            except DamagedError as error:
                damaged.append(error)
                continue
            if not fingerprint or artifact.manifest.fingerprint == fingerprint:
                whole.append(artifact)
        return whole, damaged
