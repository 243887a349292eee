"""Export a model of a tiny run."""

from tiny_run import Tiny

from pipeline.config.export import ExportConfig
from pipeline.config.runtime import Runtime
from pipeline.stages.export import export_of
from pipeline.store.materialize import materialize


def export_one(run: Tiny, ref: str, name: str | None = None, **settings: object) -> str:
    """Export one model of a run; its reference."""
    (stage,) = export_of(run.store, run.store.open(ref), ExportConfig.model_validate(settings), name)
    return materialize(stage, run.store, Runtime(), run.notes).artifact.ref
