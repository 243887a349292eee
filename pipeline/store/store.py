"""The store is a folder of artifacts, and the only judge of what is already done."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.config.builtin import home_path
from pipeline.errors import StoreError
from pipeline.progress import Progress, Silent
from pipeline.store.artifact import (
    Artifact,
    DamagedError,
    InputRecord,
    Manifest,
    Timings,
    content_digest,
)
from pipeline.store.catalog import Catalog
from pipeline.store.compare import Diff, diff
from pipeline.store.digest_cache import DigestCache
from pipeline.store.disk import check_folder, folder_bytes, move_aside, store_errors
from pipeline.store.layout import Layout
from pipeline.store.leases import forget_dead, inventory, leased, leasing, own_lease
from pipeline.store.lineage import Lineage, lineage
from pipeline.store.locks import hold
from pipeline.store.provenance import git_commit, machine, packages, python
from pipeline.store.prune import DAYS, Unneeded, leftovers, prunable, refuse_links
from pipeline.store.refs import Tags, open_ref
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
    """Artifacts under ``root``; the folder is made when something is first written.

    Every method raises ``StoreError`` if the disk is full or must not be written; so does making a store of
    something that is no folder.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = home_path(root)
        check_folder(self.root)
        self.layout = Layout(self.root)
        self.catalog = Catalog(self.layout)

    def resolver(self) -> Resolver:
        """A look at the store as it is now, for questions about one chain of stages."""
        return Resolver(self.catalog, DigestCache(self.layout.digests))

    def fingerprint(self, stage: Stage[Any]) -> str:
        """Identity of the stage's result, 64 hex digits, whether or not it exists."""
        return self.resolver().fingerprint(stage)

    def find(self, stage: Stage[Any], progress: Progress | None = None) -> Artifact | None:
        """The artifact that is the stage's result right now, or None if it has to run.

        Damaged artifacts that are met on the way are moved aside, with a note.
        """
        with store_errors(self.root):
            resolver = self.resolver()
            artifact = resolver.find(stage).artifact
            for damage in resolver.damaged():
                self._set_aside(damage, progress or Silent())
            return artifact

    def get(self, stage: Stage[Any], progress: Progress | None = None) -> Artifact:
        """As ``find``, but raises ``StoreError`` if there is none."""
        artifact = self.find(stage, progress)
        if artifact is None:
            raise StoreError(
                f"{stage.name} has no finished artifact for this configuration in {self.root}: "
                "run it (tinybert run), or ask why (tinybert plan)"
            )
        return artifact

    def list(self, stage_name: str | None = None) -> Artifacts:
        """Artifacts by stage, oldest first; damaged ones are in ``damaged``."""
        with store_errors(self.root):
            names = self.catalog.stages() if stage_name is None else [stage_name]
            return [artifact for name in names for artifact in self.catalog.scan(name)[0][::-1]]

    def damaged(self) -> Damages:
        """Artifacts whose manifest cannot be used."""
        with store_errors(self.root):
            return [error for name in self.catalog.stages() for error in self.catalog.scan(name)[1]]

    def open(self, ref: str) -> Artifact:
        """The artifact that a person's reference names; raises ``StoreError`` with what is near."""
        with store_errors(self.root):
            return open_ref(ref, self.catalog, self.tags())

    def verify(self, *artifacts: Artifact) -> Lines:
        """Read every byte; each problem is one line, none is an empty list.

        What is found damaged is read again before it is next used, even if its file looks untouched.
        """
        with store_errors(self.root):
            found = verify_artifacts(artifacts)
            for artifact in artifacts:
                if found[artifact.ref]:
                    DigestCache(self.layout.digests).forget(artifact.path)
            return [line for lines in found.values() for line in lines]

    def lineage(self, artifact: Artifact) -> Lineage:
        """The tree of what an artifact was made from."""
        return lineage(artifact, self.layout, self.catalog)

    def diff(self, a: Artifact, b: Artifact) -> Diff:
        """What differs between two artifacts."""
        return diff(a, b)

    def tags(self) -> dict[str, str]:
        """Tag -> reference."""
        return Tags(self.layout).all()

    def tag(self, ref: str, name: str) -> Artifact:
        """Let ``name`` stand for the artifact that ``ref`` names; it is never pruned while it does."""
        with store_errors(self.root):
            self.open(ref)
            if name in self.catalog.stages():
                raise StoreError(f"{name!r} cannot be a tag, it is a stage: choose another name")
            with inventory(self.layout):
                artifact = self.open(ref)  # nothing is pruned between this look and the tag
                Tags(self.layout).write(name, artifact)
            return artifact

    def untag(self, name: str) -> None:
        """Forget a tag."""
        with store_errors(self.root):
            Tags(self.layout).remove(name)

    def prune(self, keep: int, *, days: float = DAYS, dry_run: bool = False) -> Unneededs:
        """Remove old artifacts and what was left behind; returns what, or what it would.

        The newest ``keep`` of each stage stay, everything tagged, everything a living run was given, and
        everything that those or unfinished work were built from. Abandoned work, teacher features and
        quarantined artifacts stay for ``days`` after their last change.
        """
        if keep < 0:
            raise StoreError(f"cannot keep {keep} artifacts: give 0 or more")
        refuse_links(self.layout)
        with store_errors(self.root):
            if dry_run or not self.root.is_dir():
                return self._unneeded(keep, days)
            with inventory(self.layout):
                gone = self._unneeded(keep, days)
                for one in gone:
                    move_aside(one.path, self.layout.trash)
                forget_dead(self.layout)
            empty_trash(self.layout)
            return gone

    def _unneeded(self, keep: int, days: float) -> Unneededs:
        """What nothing needs; each artifact before what it was made from."""
        left = [*leftovers(self.layout, days)]
        works = {*(self.layout.works.iterdir() if self.layout.works.is_dir() else ())} - {one.path for one in left}
        wanted = [*self.tags().values(), *leased(self.layout), *(ref for work in works for ref in needs(work))]
        gone = prunable(self.list(), keep, wanted)
        return [*(Unneeded(one.ref, one.path, folder_bytes(one.path)) for one in gone), *left]

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """While this lasts, no artifact that this run is given is pruned by anybody."""
        with leasing(self.layout):
            yield

    def claim(self, artifact: Artifact) -> bool:
        """Have an artifact kept for this run, if it is one in ``in_use``; whether the artifact is still there."""
        lease = own_lease(self.layout)
        if lease is not None:
            with suppress(OSError), inventory(self.layout):
                lease.note(artifact.ref)
        return artifact.path.is_dir()

    def work_dir(self, fingerprint: str) -> WorkDir:
        """Where a stage with that fingerprint works; hold its lock first."""
        return WorkDir(self.layout, fingerprint)

    @contextmanager
    def lock(self, stage: Stage[Any], fingerprint: str, progress: Progress) -> Iterator[None]:
        """Hold the only right to build a fingerprint; waits, and notes that it does."""

        def waiting() -> None:
            progress.note(f"{stage.name} is being built by another process: waiting for it")

        with hold(self.layout.lock(fingerprint), waiting):
            yield

    def commit(
        self,
        stage: Stage[Any],
        fingerprint: str,
        inputs: Mapping[str, InputRecord],
        metrics: Mapping[str, Any],
        timings: Timings,
    ) -> Artifact:
        """Seal the work of a stage into its next artifact and forget the work; hold its lock."""
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
                python=python(),
                platform=machine(),
                git_commit=git_commit(),
                seed=seed if isinstance(seed, int) else None,
            )
            artifact = commit(self.layout, work.output, manifest)
        work.drop()
        return artifact

    def _set_aside(self, damage: DamagedError, progress: Progress) -> None:
        """Move a damaged artifact to the quarantine; in a store that cannot be written it just stays."""
        try:
            place = move_aside(damage.path, self.layout.quarantine)
        except OSError:
            progress.note(f"{damage} (it stays where it is)")
        else:
            progress.note(f"{damage} (moved to {place})")
