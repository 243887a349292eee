"""Lineage is the tree of what an artifact was made from, down to the sources."""

from dataclasses import dataclass

from pipeline.errors import StoreError
from pipeline.store.artifact import Artifact, InputRecord
from pipeline.store.catalog import Catalog
from pipeline.store.layout import Layout


@dataclass(frozen=True)
class Lineage:
    """One node of the tree.

    Args:
        role: what it was for the node above; empty at the top.
        name: reference of an artifact; identity or paths of a source.
        digest: of its content, at the time it was used.
        artifact: None for a source, or for an artifact that is no longer in the store.
        inputs: what it was made from itself.
    """

    role: str
    name: str
    digest: str
    artifact: Artifact | None
    inputs: "tuple[Lineage, ...]" = ()


def lineage(artifact: Artifact, layout: Layout, catalog: Catalog, role: str = "") -> Lineage:
    """The tree of everything that ``artifact`` was made from."""
    inputs = tuple(_node(r, record, layout, catalog) for r, record in sorted(artifact.manifest.inputs.items()))
    return Lineage(role, artifact.ref, artifact.manifest.digest, artifact, inputs)


def _node(role: str, record: InputRecord, layout: Layout, catalog: Catalog) -> Lineage:
    """The node for one recorded input."""
    if record.ref is None:
        return Lineage(role, record.identity or " ".join(record.paths or []), record.digest, None)
    try:
        found = catalog.load(layout.root / record.ref)
    except (FileNotFoundError, StoreError):
        return Lineage(role, record.ref, record.digest, None)
    return lineage(found, layout, catalog, role)
