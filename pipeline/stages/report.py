"""Stage ``report``: everything a run found, in one self-contained HTML file; the students with model cards."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.config.base import Config
from pipeline.config.load import to_yaml
from pipeline.config.locations import as_shown
from pipeline.config.models import StudentConfig
from pipeline.config.run import RunConfig
from pipeline.config.yaml_text import read_yaml
from pipeline.engine.student_identity import identities
from pipeline.stages.label_only import same_size
from pipeline.store.entry import entry
from pipeline.store.stage import Stage


class ReportStage(Config):
    """What the report shows beside the artifacts of the run."""

    name: str
    configuration: dict[str, Any]
    students: tuple[StudentConfig, ...]
    same_size: dict[str, str]
    bootstrap: int
    last_phase: str


def report(config: RunConfig, stages: Sequence[Stage[Any]]) -> Stage[ReportStage]:
    """The report of a run on all its stages; it reads each by its name."""
    # As values, not as text: what changed in it is then told key by key.
    spelt = as_shown(config, Path.cwd())  # a deployment names the same files by other paths
    shown = to_yaml(spelt.model_copy(update={"runtime": type(config.runtime)()}))
    settings = ReportStage(
        name=config.name,
        configuration=read_yaml(shown, "the configuration"),
        students=identities(spelt.students),
        same_size=same_size(config),
        bootstrap=config.evaluation.bootstrap,
        last_phase=config.phases[-1].name,
    )
    inputs = {stage.name: stage for stage in stages}
    return Stage("report", 3, settings, inputs, entry("pipeline.engine.report"))
