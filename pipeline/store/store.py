"""The store: a folder of artifacts, which alone decides what is already done."""

import platform
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pipeline.config.builtin import home_path
from pipeline.errors import StoreError
from pipeline.progress import Progress, Silent
from pipeline.store.artifact import Artifact, DamagedError, InputRecord, Manifest, Timings, content_digest
from pipeline.store.catalog import Catalog, Lineage, lineage
from pipeline.store.compare import Diff, diff
from pipeline.store.digest_cache import DigestCache
from pipeline.store.disk import check_folder, folder_bytes, move_aside, store_errors
from pipeline.store.layout import Layout
from pipeline.store.locks import forget_dead, hold, inventory, lease, leased, leasing
from pipeline.store.provenance import git_commit, packages
from pipeline.store.prune import DAYS, Unneeded, leftovers, prunable, refuse_links
from pipeline.store.resolve import Resolver
from pipeline.store.stage import Stage
from pipeline.store.verify import verify_artifacts
from pipeline.store.work import WorkDir, commit, empty_trash, needs, next_version, record_files

# Inside the class below, ``list`` is its method.
Artifacts = list[Artifact]
Damages = list[DamagedError]
Lines = list[str]
Unneededs = list[Unneeded]


class Store:
    """The artifacts under a folder, which is created when something is first written.

    Every method raises ``StoreError`` if the disk is full or cannot be written; so does the constructor if ``root``
    is not a folder.

    Args:
        root: folder of the store.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = home_path(root)
        check_folder(self.root)
        self.layout = Layout(self.root)
        self.catalog = Catalog(self.layout)

    def resolver(self) -> Resolver:
        """Return a snapshot of the store, which resolves stages to fingerprints and artifacts."""
        return Resolver(self.catalog, DigestCache(self.layout.digests))

    def fingerprint(self, stage: Stage[Any]) -> str:
        """Return the identity of the stage's result, 64 hexadecimal digits, whether or not it exists."""
        return self.resolver().fingerprint(stage)

    def find(self, stage: Stage[Any], progress: Progress | None = None) -> Artifact | None:
        """Return the artifact that is the stage's result, or None if the stage has to run.

        Damaged artifacts among those it looks at are moved to the quarantine.

        Args:
            stage: the stage.
            progress: receives a note for each damaged artifact.
        """
        with store_errors(self.root):
            resolver = self.resolver()
            artifact = resolver.find(stage).artifact
            for damage in resolver.damaged():
                self._set_aside(damage, progress or Silent())
            return artifact

    def get(self, stage: Stage[Any], progress: Progress | None = None) -> Artifact:
        """Return the artifact that is the stage's result.

        Raises:
            StoreError: the stage has no finished artifact.
        """
        artifact = self.find(stage, progress)
        if artifact is None:
            raise StoreError(
                f"{stage.name} has no finished artifact for this configuration in {self.root}: "
                "run it (tinybert run), or ask why (tinybert plan)"
            )
        return artifact

    def list(self, stage_name: str | None = None) -> Artifacts:
        """Return the artifacts by stage, oldest first, without damaged ones.

        Args:
            stage_name: only artifacts of this stage; None lists all.
        """
        with store_errors(self.root):
            names = self.catalog.stages() if stage_name is None else [stage_name]
            return [artifact for name in names for artifact in self.catalog.scan(name)[0][::-1]]

    def damaged(self) -> Damages:
        """Return the artifacts whose manifest cannot be read, as errors."""
        with store_errors(self.root):
            return [error for name in self.catalog.stages() for error in self.catalog.scan(name)[1]]

    def open(self, ref: str) -> Artifact:
        """Return the artifact that a user names.

        Args:
            ref: such as ``teacher``, ``teacher/v3``, a tag, or the start of a fingerprint.

        Raises:
            StoreError: there is none; names similar references.
        """
        with store_errors(self.root):
            return self.catalog.open(ref)

    def verify(self, *artifacts: Artifact) -> Lines:
        """Read every byte of some artifacts and return one line for each problem.

        A damaged artifact's files are read again before its next use, even if they look unchanged.
        """
        with store_errors(self.root):
            problems = verify_artifacts(artifacts)
            for artifact in artifacts:
                if problems[artifact.ref]:
                    DigestCache(self.layout.digests).forget(artifact.path)
            return [line for lines in problems.values() for line in lines]

    def lineage(self, artifact: Artifact) -> Lineage:
        """Return the tree of inputs that an artifact was made from."""
        return lineage(artifact, self.layout, self.catalog)

    def diff(self, a: Artifact, b: Artifact) -> Diff:
        """Return the differences between two artifacts."""
        return diff(a, b)

    def tags(self) -> dict[str, str]:
        """Return tag -> reference of its artifact."""
        return self.catalog.tags()

    def tag(self, ref: str, name: str) -> Artifact:
        """Give an artifact a tag; while it has one it is never pruned.

        Args:
            ref: reference of the artifact.
            name: the tag; a stage's name is refused.
        """
        with store_errors(self.root):
            self.open(ref)
            if name in self.catalog.stages():
                raise StoreError(f"{name!r} cannot be a tag, it is a stage: choose another name")
            with inventory(self.layout):
                artifact = self.open(ref)  # nothing is pruned between this look and the tag
                self.catalog.tag(name, artifact)
            return artifact

    def untag(self, name: str) -> None:
        """Remove a tag."""
        with store_errors(self.root):
            self.catalog.untag(name)

    def prune(self, keep: int, *, days: float = DAYS, dry_run: bool = False) -> Unneededs:
        """Remove old artifacts and leftovers; return what was removed.

        Kept are: the newest ``keep`` artifacts of each stage, tagged ones, those that a running process uses, and all
        that these or unfinished work were built from.

        Args:
            keep: number of artifacts to keep of each stage.
            days: days that abandoned work, teacher features and damaged artifacts are kept after their last change.
            dry_run: remove nothing; return what would be removed.
        """
        if keep < 0:
            raise StoreError(f"cannot keep {keep} artifacts: give 0 or more")
        refuse_links(self.layout)
        with store_errors(self.root):
            if dry_run or not self.root.is_dir():
                return self._unneeded(keep, days)
            with inventory(self.layout):
                gone = self._unneeded(keep, days)
                for unneeded in gone:
                    move_aside(unneeded.path, self.layout.trash)
                forget_dead(self.layout)
            empty_trash(self.layout)
            return gone

    def _unneeded(self, keep: int, days: float) -> Unneededs:
        """Return what can be removed, each artifact before the ones it was made from."""
        old = [*leftovers(self.layout, days)]
        works = {*(self.layout.works.iterdir() if self.layout.works.is_dir() else ())} - {item.path for item in old}
        needed = [*self.tags().values(), *leased(self.layout), *(ref for work in works for ref in needs(work))]
        gone = prunable(self.list(), keep, needed)
        return [*(Unneeded(artifact.ref, artifact.path, folder_bytes(artifact.path)) for artifact in gone), *old]

    def in_use(self) -> AbstractContextManager[None]:
        """While this block runs, keep every process from pruning the artifacts that this run uses."""
        return leasing(self.layout)

    def claim(self, artifact: Artifact) -> bool:
        """Protect an artifact from pruning during ``in_use``; return whether it still exists."""
        lease(self.layout, artifact.ref)
        return artifact.path.is_dir()

    def work_dir(self, fingerprint: str) -> WorkDir:
        """Return the work folder for a fingerprint; the caller holds its lock."""
        return WorkDir(self.layout, fingerprint)

    def lock(self, stage: Stage[Any], fingerprint: str, progress: Progress) -> AbstractContextManager[None]:
        """Hold the lock for building a fingerprint, waiting for another process that builds it.

        Args:
            stage: named in the note.
            fingerprint: identity of the result.
            progress: receives a note if it has to wait.
        """
        note = f"{stage.name} is being built by another process: waiting for it"
        return hold(self.layout.lock(fingerprint), lambda: progress.note(note))

    def commit(
        self,
        stage: Stage[Any],
        fingerprint: str,
        inputs: Mapping[str, InputRecord],
        metrics: Mapping[str, Any],
        timings: Timings,
    ) -> Artifact:
        """Seal the output of a stage as its next artifact and remove its work folder; the caller holds its lock.

        Args:
            stage: the stage.
            fingerprint: identity of the result.
            inputs: role -> record for the manifest.
            metrics: values that the stage recorded.
            timings: when it ran.
        """
        work = self.work_dir(fingerprint)
        files = record_files(work.output)
        seed = stage.settings.get("seed")
        with hold(self.layout.lock(f"versions-{stage.name}")):
            manifest = Manifest(
                stage=stage.name,
                version=next_version(self.layout, stage.name),
                code_version=stage.version,
                fingerprint=fingerprint,
                digest=content_digest(files),
                config=stage.settings,
                inputs=dict(inputs),
                files=files,
                metrics=dict(metrics),
                timings=timings,
                packages=packages(),
                python=platform.python_version(),
                platform=platform.platform(),
                git_commit=git_commit(),
                seed=seed if isinstance(seed, int) else None,
            )
            artifact = commit(self.layout, work.output, manifest)
        work.drop()
        return artifact

    def _set_aside(self, damage: DamagedError, progress: Progress) -> None:
        """Move a damaged artifact to the quarantine, or leave it if the store cannot be written."""
        try:
            outcome = f"moved to {move_aside(damage.path, self.layout.quarantine)}"
        except OSError:
            outcome = "it stays where it is"
        progress.note(f"{damage} ({outcome})")
