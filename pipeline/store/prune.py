"""Pruning keeps what is new, what is tagged, and whatever those, or unfinished work, were built from."""

from collections.abc import Iterable

from pipeline.store.artifact import Artifact


def prunable(artifacts: Iterable[Artifact], keep: int, wanted: Iterable[str]) -> list[Artifact]:
    """Artifacts that nothing kept depends on, oldest first.

    Args:
        artifacts: everything in the store.
        keep: how many of the newest to keep of each stage.
        wanted: references to keep besides: tags, inputs of unfinished work.
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
            pending += [record.ref for record in by_ref[ref].manifest.inputs.values() if record.ref]
    gone = [artifact for ref, artifact in by_ref.items() if ref not in kept]
    return sorted(gone, key=lambda artifact: (artifact.manifest.stage, artifact.manifest.version))
