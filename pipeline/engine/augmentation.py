"""What the stage ``augmentation`` runs: variants of the task's rows, drawn from the candidates of their words."""

from functools import partial
from typing import Any

from pipeline.augmentation.variants.build import Drawing, build_variants
from pipeline.config.augmentation import AugmentationConfig
from pipeline.config.words import WordsConfig
from pipeline.data.tasks.table import task_rows
from pipeline.store.stage import StageRun


def run(
    run: StageRun,
    *,
    variants: int,
    probability: float,
    augmenters: tuple[dict[str, Any], ...],
    words: WordsConfig,
    pair_mutation: bool,
    unlabelled: bool,
    seed: int,
) -> None:
    """Write the variants and their counts.

    Args:
        run: the stage at work; its inputs are ``task_data`` and ``candidates``.
        variants: of each row.
        probability: with which a word is replaced.
        augmenters: what makes variants, one after the other, as the configuration names them.
        words: how a text is cut into words, and which of them stay.
        pair_mutation: whether variants of a pair's second text stand beside the last variant of the first.
        unlabelled: whether the unlabelled rows are augmented too.
        seed: of the draws.
    """
    drawing = Drawing(
        config=AugmentationConfig(
            variants=variants,
            probability=probability,
            augmenters=augmenters,
            words=words,
            pair_mutation=pair_mutation,
            unlabelled=unlabelled,
        ),
        seed=seed,
        candidates=run.artifact("candidates").absolute(),  # workers may stand elsewhere
        scratch=run.scratch.absolute(),
    )
    rows = partial(task_rows, run.artifact("task_data"), unlabelled=unlabelled)
    run.record(**build_variants(rows, drawing, output=run.output, progress=run.progress, fan_out=run.fan_out))
