"""Stage ``augmentation``: variants of the task's rows, drawn from the candidates of their words."""

import re
from typing import Any

from pydantic import PositiveInt

from pipeline.augmentation.words.segmentation import segmenter
from pipeline.checks.checks import Check
from pipeline.checks.known import Known
from pipeline.config.augmenters import children
from pipeline.config.base import Config
from pipeline.config.extras import require_extras
from pipeline.config.run import RunConfig
from pipeline.config.words import WordsConfig
from pipeline.errors import ConfigError
from pipeline.stages.candidates import segmenter_input
from pipeline.store.entry import entry
from pipeline.store.stage import Stage


class AugmentationStage(Config):
    """What the variants depend on beside the rows and the candidates."""

    variants: PositiveInt
    probability: float
    augmenters: tuple[dict[str, Any], ...]
    words: WordsConfig
    pair_mutation: bool
    unlabelled: bool
    seed: int


def augmentation(config: RunConfig, task_data: Stage[Any], candidates: Stage[Any]) -> Stage[AugmentationStage]:
    """Variants of the task's training rows."""
    wanted = config.augmentation
    if wanted is None:
        raise ConfigError("there is no augmentation in this configuration: add an augmentation section")
    require_extras(wanted)
    if wanted.pair_mutation and not config.relu_logits:
        raise ConfigError(
            "augmentation.pair_mutation is a slip of the released code and goes with its recipe, whose mark is "
            "relu_logits: set it to false, or take the recipe huawei"
        )
    settings = AugmentationStage(
        variants=wanted.variants,
        probability=wanted.probability,
        augmenters=wanted.augmenters,
        words=wanted.words,
        pair_mutation=wanted.pair_mutation,
        unlabelled=wanted.unlabelled,
        seed=config.seed if wanted.seed is None else wanted.seed,
    )
    inputs: dict[str, Any] = {"task_data": task_data, "candidates": candidates, **segmenter_input(wanted.words)}
    return Stage(
        "augmentation", 4, settings, inputs, entry("pipeline.engine.augmentation"), cost="pipeline.cost.augmentation"
    )


def checks(config: RunConfig) -> tuple[Check, ...]:
    """What shows before variants are drawn: what an augmenter needs is installed, its expressions are some."""
    return () if config.augmentation is None else (_check_extras, _check_segmenter, _check_expressions)


def _check_extras(known: Known) -> None:
    if known.config.augmentation is not None:
        require_extras(known.config.augmentation)


def _check_segmenter(known: Known) -> None:
    wanted = known.config.augmentation
    if wanted is not None and ":" in wanted.words.segmentation:
        segmenter(wanted.words.segmentation)


def _check_expressions(known: Known) -> None:
    wanted = known.config.augmentation
    for child in children(wanted.augmenters) if wanted is not None else ():
        try:
            re.compile(str(child.options.get("stopwords_regex", "")))
        except re.error as error:
            raise ConfigError(f"augmenter {child.name} with {dict(child.options)} does not work: {error}") from error
