"""Where the inputs of stages come from: model folders, hub ids and files as sources; a run's own models."""

from glob import glob
from pathlib import Path
from typing import Any

from pipeline.config.builtin import builtin_path, home_path
from pipeline.config.run import RunConfig
from pipeline.errors import ModelError
from pipeline.models.source import ModelSource
from pipeline.store.hub import HubName
from pipeline.store.source import Source
from pipeline.store.stage import Stage, StageRun

# What a model's folder is loaded from: configuration, weights and tokenizer, all in the folder itself. Whatever else
# lies beside them (a README, a licence, pictures, weights for other libraries, states of a trainer) changes nothing.
MODEL_FILES = ("*.json", "*.txt", "*.safetensors", "*.model", "*.bpe", "*.codes", "*.vocab", "*.tiktoken")
NO_MODEL_FILES = (
    *("*/*", "README*", "LICENSE*", "LICENCE*", "NOTICE*", "requirements*.txt"),
    *("*_results.json", "trainer_state.json", "training_args.json", "generation_config.json", "model-index.json"),
    *("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"),
)


def model_source(location: str, revision: str = "main") -> Source:
    """Return the source of a model: a folder, identified by its files' content, or a hub id, identified by its commit.

    Args:
        location: folder, hub id, or the name of a model that comes with this program.
        revision: branch, tag or commit of a hub id.

    Raises:
        ModelError: ``location`` looks like a path, but there is no such folder.
    """
    folder = builtin_path(location)
    if folder.is_dir():
        return Source(paths=(str(folder),), only=MODEL_FILES, never=NO_MODEL_FILES)
    if location.startswith((".", "/", "~", "builtin:")) or location.count("/") > 1:
        raise ModelError(f"there is no model folder {location!r}: check the path (relative to {Path.cwd()})")
    return Source(
        paths=(location, revision),
        identity=f"hub:{location}@{revision}",
        hub=HubName("model", location, revision),
    )


def expand(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Expand glob patterns to sorted paths; a pattern without a match stays, so that an error can name it later."""
    return tuple(
        path
        for pattern in (str(home_path(given)) for given in patterns)
        for path in (
            sorted(glob(pattern, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
            or [pattern]
        )
    )


def model_input(run: StageRun, role: str) -> ModelSource:
    """Return the model that is an input of a stage: of an upstream artifact, in a folder, or on a hub.

    Args:
        run: the stage's execution.
        role: role of the input.
    """
    given = run.inputs[role]
    if isinstance(given, Path):
        return ModelSource(str(given / "model"))
    revision = str(given[1]) if len(given) > 1 else "main"
    return ModelSource(str(given[0]), revision)


def pretrained_teacher(config: RunConfig, pretrain: Stage[Any] | None) -> Stage[Any] | Source:
    """The encoder to fine-tune and to imitate in general distillation."""
    if config.pretrain is not None and config.pretrain.mode != "mlm_head":
        assert pretrain is not None  # noqa: S101 - the recipe builds it whenever it is configured
        return pretrain
    return model_source(config.teacher.model or "", config.teacher.revision)


def masked_lm(config: RunConfig, pretrain: Stage[Any] | None) -> Stage[Any] | Source | None:
    """The masked LM that proposes substitutions; None when neighbours propose every word."""
    wanted = config.augmentation.mlm if config.augmentation else None
    if wanted is None:
        return None
    if wanted != "teacher":
        return model_source(wanted)
    if pretrain is not None:
        return pretrain
    return pretrained_teacher(config, None)
