"""What is known of a run before anything is computed: its task's rows, its models as their folders describe them.

Each is read once, whoever asks. What lies on a hub, or is yet to be made by a stage, is unknown, which is None: a
check lets pass what it cannot know.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config.corpus import TokenizerTraining
from pipeline.config.models import StudentConfig
from pipeline.config.run import RunConfig
from pipeline.data.tasks.glue import glue_task
from pipeline.data.tasks.paths import USUAL_LENGTH, file_sources
from pipeline.data.tokens.stored_vocabulary import stored_vocabulary
from pipeline.engine.inputs import model_source
from pipeline.engine.student_identity import NAMED
from pipeline.errors import PipelineError
from pipeline.models.unloaded import UnloadedModel, read_model

if TYPE_CHECKING:
    from pipeline.data.tasks.table import TaskData

WHOLE_TASK_BYTES = 1 << 26  # larger files are read in the run alone; before it only their columns are looked at


class Known:
    """A run's configuration and what the files it names say; asked by the checks of its stages."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self._models: dict[str, UnloadedModel | PipelineError | None] = {}
        self._vocabularies: dict[Path, Mapping[str, int] | PipelineError | None] = {}

    @cached_property
    def task(self) -> "TaskData | None":
        """The rows of the task; None when they cannot be read, are not to be read yet, or there is no task."""
        try:
            return self.read_task()
        except PipelineError:
            return None

    def read_task(self) -> "TaskData | None":
        """As ``task``, but a mistake in its files is raised.

        Raises:
            DataError: the rows cannot be used as they are.
            ConfigError: the configuration contradicts the GLUE task it names.
        """
        task = self.config.task
        if task is None or task.hub or task.packages:
            return None
        from pipeline.data.tasks import readers, table  # a plan that reads no rows does without pyarrow

        files = [Path(path) for path in file_sources(task)]
        if sum(path.stat().st_size for path in files) > WHOLE_TASK_BYTES:
            readers.check_columns(task)
            return None
        return table.read_task(task, self.config.seed)

    @property
    def max_length(self) -> int | None:
        """Word pieces of the task's longest sequences; None without a task."""
        task = self.config.task
        if task is None:
            return None
        if task.max_length:
            return task.max_length
        if task.dir:
            try:
                return glue_task(task.name).max_length
            except PipelineError:
                return None
        return USUAL_LENGTH

    @property
    def teacher(self) -> UnloadedModel | None:
        """The pretrained encoder, as it is or as it will be pretrained; its weights are unknown in the latter case."""
        pretrain = self.config.pretrain
        if pretrain is None or pretrain.architecture is None:
            return self.model(self.config.teacher.model or "")
        shape, corpus = pretrain.architecture, self.config.corpus
        trained = corpus.tokenizer if corpus and isinstance(corpus.tokenizer, TokenizerTraining) else None
        return UnloadedModel(
            location="the teacher",
            family="bert",
            hidden_size=shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            vocab_size=0 if trained is None else trained.vocab_size,
            positions=pretrain.max_length,
            labels={},
        )

    def start(self, student: StudentConfig) -> UnloadedModel | None:
        """The model that a student starts from; None when it starts from none."""
        return None if student.start in NAMED else self.model(student.start)

    def model(self, location: str) -> UnloadedModel | None:
        """What a model's folder says; None for a hub id, and for a folder that is of no use."""
        try:
            return self.read_model(location)
        except PipelineError:
            return None

    def read_model(self, location: str) -> UnloadedModel | None:
        """As ``model``, but a folder that is of no use is a mistake.

        Raises:
            ModelError: there is no such folder, or no model of use in it.
        """
        if location not in self._models:
            self._models[location] = self._try_model(location)
        found = self._models[location]
        if isinstance(found, PipelineError):
            raise found
        return found

    def vocabulary(self, location: str) -> Mapping[str, int] | None:
        """As ``read_vocabulary``, but None also for a folder that is of no use."""
        try:
            return self.read_vocabulary(location)
        except PipelineError:
            return None

    def read_vocabulary(self, location: str) -> Mapping[str, int] | None:
        """Word piece -> id of a model's tokenizer; None for a hub id, and where only a library can tell.

        Raises:
            ModelError: the folder holds no tokenizer, or a damaged one.
        """
        folder = model_folder(location)
        if folder is None:
            return None
        if folder not in self._vocabularies:
            try:
                self._vocabularies[folder] = stored_vocabulary(folder)
            except PipelineError as error:
                self._vocabularies[folder] = error
        found = self._vocabularies[folder]
        if isinstance(found, PipelineError):
            raise found
        return found

    def _try_model(self, location: str) -> UnloadedModel | PipelineError | None:
        try:
            folder = model_folder(location)
            return None if folder is None else read_model(folder)
        except PipelineError as error:
            return error


def model_folder(location: str) -> Path | None:
    """The folder of a model; None for a hub id.

    Raises:
        ModelError: it looks like a path, but there is no such folder.
    """
    source = model_source(location) if location else None
    return None if source is None or source.identity else Path(source.paths[0])
