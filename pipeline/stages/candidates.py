"""Stage ``candidates``: for each distinct sentence of the task's rows, what may stand in place of its words.

This is the slow half of the augmentation: it alone reads the masked LM and the vectors. How many variants are drawn,
with which probability and seed, is no part of it.
"""

from functools import partial
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveInt

from pipeline.augmentation.candidates.glove_lines import check_first_lines
from pipeline.augmentation.words.segmentation import own_code
from pipeline.checks.checks import Check, loads
from pipeline.checks.known import Known
from pipeline.config.augmentation import VectorsConfig
from pipeline.config.base import Config
from pipeline.config.builtin import home_path
from pipeline.config.extras import require_workers
from pipeline.config.run import RunConfig
from pipeline.config.words import WordsConfig
from pipeline.engine.inputs import masked_lm, pretrained_teacher
from pipeline.errors import ConfigError, ModelError
from pipeline.models.unloaded import MASKED_LM_HEADS
from pipeline.store.entry import entry
from pipeline.store.source import Source
from pipeline.store.stage import Stage


class CandidatesStage(Config):
    """What the candidates depend on beside the rows, the masked LM and the vectors."""

    mlm: Literal["model"] | None
    vectors: VectorsConfig | None
    candidates: NonNegativeInt
    context: Literal["paired", "masked", "unmasked"]
    masks_per_forward: PositiveInt | Literal["all"]
    words: WordsConfig
    unlabelled: bool


def candidates(config: RunConfig, task_data: Stage[Any], pretrain: Stage[Any] | None) -> Stage[CandidatesStage]:
    """Candidates for the words of the rows that are to be augmented."""
    wanted = config.augmentation
    if wanted is None:
        raise ConfigError("there is no augmentation in this configuration: add an augmentation section")
    proposing = any("tinybert" in child for child in wanted.augmenters)  # the others ask for words alone
    mlm, vectors = (masked_lm(config, pretrain), wanted.vectors) if proposing else (None, None)
    inputs: dict[str, Any] = {"task_data": task_data}
    if mlm is not None:
        inputs["mlm"] = mlm
    elif proposing and (vectors is None or not vectors.path):
        raise ConfigError("augmentation.mlm and augmentation.vectors are both empty: name a masked LM or vectors")
    else:
        inputs["tokenizer"] = pretrained_teacher(config, pretrain)
    if vectors is not None and vectors.path:
        inputs["vectors"] = Source(paths=(str(home_path(vectors.path)),))
        vectors = vectors.model_copy(update={"path": "file"})
    settings = CandidatesStage(
        mlm="model" if mlm is not None else None,
        vectors=vectors,
        candidates=wanted.candidates if proposing else 0,
        context=wanted.context if mlm is not None else "unmasked",
        masks_per_forward=1 if mlm is None or wanted.context == "unmasked" else wanted.masks_per_forward,
        words=wanted.words,
        unlabelled=wanted.unlabelled,
    )
    inputs |= segmenter_input(wanted.words)
    return Stage(
        "candidates", 3, settings, inputs, entry("pipeline.engine.candidates"), cost="pipeline.cost.augmentation"
    )


def segmenter_input(words: WordsConfig) -> dict[str, Source]:
    """The code of a segmenter of the user's own, known by its content; a function that is not there is missed here."""
    code = own_code(words.segmentation)
    return {"segmenter": Source(paths=code, only=("*.py",))} if code else {}


def checks(config: RunConfig) -> tuple[Check, ...]:
    """What shows before candidates are proposed: a masked LM with its head, vectors, workers."""
    wanted = config.augmentation
    if wanted is None:
        return ()
    require: tuple[Check, ...] = (lambda known: require_workers(known.config.runtime.workers),)
    if not any("tinybert" in child for child in wanted.augmenters):
        return require
    vectors = (_check_vectors,) if wanted.vectors and wanted.vectors.path else ()
    if wanted.mlm is None:
        return (*require, *vectors)
    if wanted.mlm == "teacher":
        return (*require, *vectors, *(() if config.pretrain else (partial(_check_head, config.teacher.model or ""),)))
    return (*require, *vectors, *loads(wanted.mlm), partial(_check_head, wanted.mlm))


def _check_vectors(known: Known) -> None:
    wanted = known.config.augmentation
    if wanted and wanted.vectors and wanted.vectors.path:
        check_first_lines(home_path(wanted.vectors.path))


def _check_head(location: str, known: Known) -> None:
    model = known.model(location)
    if model is None or model.family not in MASKED_LM_HEADS or model.has_weights(*MASKED_LM_HEADS[model.family]):
        return
    raise ModelError(
        f"{model.location} has no masked-LM head: fit one with pretrain.mode: mlm_head, name another "
        "augmentation.mlm, or set it to null"
    )
