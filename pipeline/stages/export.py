"""Stage ``export``: a finished model as a bundle that answers without torch, an artifact a model.

float32 and int8 ONNX files, the tokenizer and the weights, with the parity of each file measured on the dev rows.
"""

from typing import Any

from pipeline.config.base import Config
from pipeline.config.export import ExportConfig
from pipeline.errors import ModelError
from pipeline.store.artifact import Artifact
from pipeline.store.entry import entry
from pipeline.store.finished import FinishedStage
from pipeline.store.stage import Stage
from pipeline.store.store import Store

NAME = "export"
MODEL = "model"  # folder of a teacher's artifact; students have one each, by name
STUDENTS = "students"


class ExportStage(Config):
    """What a bundle depends on beside the model and the task's dev rows.

    Attributes:
        folder: of the model, within its artifact.
    """

    export: ExportConfig
    folder: str
    seed: int


def export(
    settings: ExportConfig, model: Stage[Any], task_data: Stage[Any], *, folder: str, seed: int
) -> Stage[ExportStage]:
    """The bundle of one model.

    Args:
        settings: which files, and how near they must be.
        model: the stage that made the model, such as ``prediction``.
        task_data: the stage whose dev rows parity is measured on.
        folder: of the model, within the artifact of ``model``: ``students/NAME``, or ``model`` of a teacher.
        seed: of the bootstrap.
    """
    config = ExportStage(export=settings, folder=folder, seed=seed)
    inputs = {"model": model, "task_data": task_data}
    return Stage(NAME, 1, config, inputs, entry("pipeline.engine.export"))


def export_of(store: Store, artifact: Artifact, settings: ExportConfig, name: str | None = None) -> list[Stage[Any]]:
    """The stages that export the models of a finished artifact, one a model.

    Args:
        store: where the artifact lies.
        artifact: of a phase that trains outputs, of ``label_only`` or of ``teacher``.
        settings: which files, and how near they must be.
        name: the only student to export; None for all.

    Raises:
        ModelError: the artifact holds no finished model, or none of that name.
        StoreError: the task that the model was trained on is gone.
    """
    folders = _folders(artifact)
    record = artifact.manifest.inputs.get("task_data")
    if not folders or record is None or record.ref is None:
        raise ModelError(
            f"{artifact.ref} holds no model that was trained on a task: name an artifact of prediction or teacher"
        )
    if name is not None:
        if name not in folders:
            raise ModelError(f"{artifact.ref} has no student {name!r}: choose {' or '.join(folders)}")
        folders = {name: folders[name]}
    task_data = FinishedStage(store.open(record.ref))
    made = artifact.manifest.config
    return [
        export(
            settings,
            FinishedStage(artifact),
            task_data,
            folder=folder,
            seed=int(made.get("seed", 0)),
        )
        for folder in folders.values()
    ]


def _folders(artifact: Artifact) -> dict[str, str]:
    """Name -> folder of each model in an artifact that was trained on a task, in the order of its configuration."""
    weights = [name.rpartition("/")[0] for name in artifact.manifest.files if name.endswith("/model.safetensors")]
    found = {folder.rpartition("/")[2]: folder for folder in weights if folder.startswith(f"{STUDENTS}/")}
    if MODEL in weights:
        found[artifact.manifest.stage] = MODEL
    return found if "dev_score" in artifact.manifest.metrics else {}  # of a phase that trains no outputs it has none
