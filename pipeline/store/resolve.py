"""To resolve a stage is to say its fingerprint and which artifact, if any, is its result right now.

An artifact is the result only if it was built from the very artifacts that the stage's inputs
resolve to: an upstream that was rebuilt and came out different is noticed, one that came out the
same is not a reason to run anything.
"""

from dataclasses import dataclass
from typing import Any

from pipeline.store.artifact import Artifact, DamagedError, InputRecord, check_files
from pipeline.store.catalog import Catalog
from pipeline.store.digest_cache import DigestCache
from pipeline.store.fingerprint import fingerprint
from pipeline.store.finished import FinishedStage
from pipeline.store.source import Source, pinned, source_digest
from pipeline.store.stage import Stage


@dataclass(frozen=True)
class Finding:
    """The artifact that a stage resolves to, and what was met on the way that can no longer be used."""

    artifact: Artifact | None
    damaged: tuple[DamagedError, ...]


class Resolver:
    """One look at a chain of stages: each stage and source is asked once, and the answer kept."""

    def __init__(self, catalog: Catalog, digests: DigestCache) -> None:
        self._catalog = catalog
        self._digests = digests
        self._of_source: dict[Source, str] = {}
        self._fingerprints: dict[Stage[Any], str] = {}
        self._findings: dict[Stage[Any], Finding] = {}

    def digest(self, source: Source) -> str:
        """Digest of a source; raises ``DataError`` if it cannot be read."""
        if source not in self._of_source:
            self._of_source[source] = source_digest(source, self._digests.digest)
            self._digests.save()
        return self._of_source[source]

    def fingerprint(self, stage: Stage[Any]) -> str:
        """Identity of the stage's result, whether or not it exists."""
        if isinstance(stage, FinishedStage):
            return stage.artifact.manifest.fingerprint
        if stage not in self._fingerprints:
            inputs = {
                role: self.fingerprint(given) if isinstance(given, Stage) else self.digest(given)
                for role, given in stage.inputs.items()
            }
            self._fingerprints[stage] = fingerprint(stage.name, stage.version, stage.settings, inputs)
        return self._fingerprints[stage]

    def find(self, stage: Stage[Any]) -> Finding:
        """The newest whole artifact of the stage that was built from what its inputs resolve to."""
        if stage not in self._findings:
            self._findings[stage] = self._find(stage)
        return self._findings[stage]

    def _find(self, stage: Stage[Any]) -> Finding:
        if isinstance(stage, FinishedStage):
            return self._check_finished(stage.artifact)
        inputs = self.inputs(stage)
        candidates, damaged = self._catalog.scan(stage.name, self.fingerprint(stage))
        if len(inputs) < len(stage.inputs):
            return Finding(None, tuple(damaged))
        wanted = {role: record.digest for role, record in inputs.items()}
        for artifact in candidates:
            if {role: record.digest for role, record in artifact.manifest.inputs.items()} != wanted:
                continue
            try:
                check_files(artifact, self._digests.digest)
            except DamagedError as error:
                damaged.append(error)
                continue
            self._digests.save()
            return Finding(artifact, tuple(damaged))
        return Finding(None, tuple(damaged))

    def _check_finished(self, artifact: Artifact) -> Finding:
        """The artifact itself, unless its files are not what they were."""
        try:
            check_files(artifact, self._digests.digest)
        except DamagedError as error:
            return Finding(None, (error,))
        self._digests.save()
        return Finding(artifact, ())

    def inputs(self, stage: Stage[Any]) -> dict[str, InputRecord]:
        """What fills each role right now; a stage that has no artifact is left out."""
        records = {}
        for role, given in stage.inputs.items():
            if isinstance(given, Source):
                today = pinned(given)
                records[role] = InputRecord(
                    kind="source",
                    digest=self.digest(given),
                    paths=list(today.paths),
                    identity=today.identity or None,
                )
            elif (artifact := self.find(given).artifact) is not None:
                records[role] = InputRecord(
                    kind="artifact",
                    stage=artifact.manifest.stage,
                    version=artifact.manifest.version,
                    fingerprint=artifact.manifest.fingerprint,
                    digest=artifact.manifest.digest,
                )
        return records

    def artifacts(self, stage: Stage[Any]) -> dict[str, Artifact]:
        """Role -> artifact, for every input that is a stage and has one."""
        found = {r: self.find(given).artifact for r, given in stage.inputs.items() if isinstance(given, Stage)}
        return {role: artifact for role, artifact in found.items() if artifact is not None}

    def damaged(self) -> list[DamagedError]:
        """Everything damaged that was met so far."""
        return [error for finding in self._findings.values() for error in finding.damaged]
