"""A stage that is known by its artifact only, so that a new stage can be built on it without its configuration.

The export of a student names an artifact instead of a configuration file. The new stage has the same fingerprint as it
would have in the graph of the whole run.
"""

from typing import Any

from pipeline.config.base import Config
from pipeline.errors import StoreError
from pipeline.store.artifact import Artifact
from pipeline.store.stage import Stage, StageRun


class FinishedStage(Stage[Config]):
    """A stage with a finished artifact, which does not run.

    Args:
        artifact: the stage's artifact.
    """

    artifact: Artifact

    def __init__(self, artifact: Artifact) -> None:
        made = artifact.manifest

        def missed(_config: Config, _run: StageRun) -> None:
            raise StoreError(f"{artifact.ref} is damaged or gone, and nothing here can make it again: name another one")

        super().__init__(made.stage, made.code_version, Config(), {}, missed)
        object.__setattr__(self, "artifact", artifact)

    @property
    def settings(self) -> dict[str, Any]:
        """The slice of the configuration that it was made with."""
        return self.artifact.manifest.config
