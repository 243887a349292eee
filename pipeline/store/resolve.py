"""Resolve a stage to its fingerprint and to the artifact, if any, that is its result now.

An artifact is the result only if it was built from the artifacts that the stage's inputs resolve to: if an upstream
stage was rebuilt with other content, the stage has to run again; with the same content, it does not.
"""

from collections.abc import Mapping
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
    """The artifact that a stage resolves to, and the damaged artifacts that were found in its place."""

    artifact: Artifact | None
    damaged: tuple[DamagedError, ...]


class Resolver:
    """A snapshot of a store: each stage and source is resolved once, and the result kept.

    Args:
        catalog: the artifacts of the store.
        digests: digests of files that have not changed.
    """

    def __init__(self, catalog: Catalog, digests: DigestCache) -> None:
        self._catalog = catalog
        self._digests = digests
        self._of_source: dict[Source, str] = {}
        self._fingerprints: dict[Stage[Any], str] = {}
        self._findings: dict[Stage[Any], Finding] = {}

    def digest(self, source: Source) -> str:
        """Return the digest of a source; raises ``DataError`` if it cannot be read."""
        if source not in self._of_source:
            self._of_source[source] = source_digest(source, self._digests.digest)
            self._digests.save()
        return self._of_source[source]

    def fingerprint(self, stage: Stage[Any]) -> str:
        """Return the identity of the stage's result, whether or not it exists."""
        if isinstance(stage, FinishedStage):
            return stage.artifact.manifest.fingerprint
        if stage not in self._fingerprints:
            inputs = {
                role: self.fingerprint(upstream) if isinstance(upstream, Stage) else self.digest(upstream)
                for role, upstream in stage.inputs.items()
            }
            self._fingerprints[stage] = fingerprint(stage.name, stage.version, stage.settings, inputs)
        return self._fingerprints[stage]

    def find(self, stage: Stage[Any]) -> Finding:
        """Return the newest intact artifact of the stage that was built from what its inputs resolve to."""
        if stage not in self._findings:
            self._findings[stage] = self._find(stage)
        return self._findings[stage]

    def _find(self, stage: Stage[Any]) -> Finding:
        damaged: list[DamagedError] = []
        if isinstance(stage, FinishedStage):
            candidates = [stage.artifact]
        else:
            scanned, damaged = self._catalog.scan(stage.name, self.fingerprint(stage))
            digests = _digests(self.inputs(stage))
            candidates = [artifact for artifact in scanned if _digests(artifact.manifest.inputs) == digests]
        for artifact in candidates:
            try:
                check_files(artifact, self._digests.digest)
            except DamagedError as error:
                damaged.append(error)
                continue
            self._digests.save()
            return Finding(artifact, tuple(damaged))
        return Finding(None, tuple(damaged))

    def inputs(self, stage: Stage[Any]) -> dict[str, InputRecord]:
        """Return role -> the record of its input now; a stage that has no artifact is left out."""
        records = {}
        for role, upstream in stage.inputs.items():
            if isinstance(upstream, Source):
                source = pinned(upstream)
                digest, identity = self.digest(upstream), source.identity or None
                records[role] = InputRecord(kind="source", digest=digest, paths=list(source.paths), identity=identity)
            elif (artifact := self.find(upstream).artifact) is not None:
                records[role] = InputRecord(
                    kind="artifact",
                    stage=artifact.manifest.stage,
                    version=artifact.manifest.version,
                    fingerprint=artifact.manifest.fingerprint,
                    digest=artifact.manifest.digest,
                )
        return records

    def damaged(self) -> list[DamagedError]:
        """Return the damaged artifacts that were found so far."""
        return [error for finding in self._findings.values() for error in finding.damaged]


def _digests(inputs: Mapping[str, InputRecord]) -> dict[str, str]:
    return {role: record.digest for role, record in inputs.items()}
