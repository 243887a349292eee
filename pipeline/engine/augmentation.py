"""The work of stage ``augmentation``: draw variants of the task's rows from the candidates of their words."""

from functools import partial
from typing import Any

from pipeline.augmentation.variants.build import Drawing, build_variants
from pipeline.config.augmentation import AugmentationConfig
from pipeline.config.words import WordsConfig
from pipeline.data.tasks.table import task_rows
from pipeline.engine.refusals import check_same_rows
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
        run: this stage's execution; inputs ``task_data`` and ``candidates``.
        variants: number of variants of each row.
        probability: probability with which a word is replaced.
        augmenters: the augmenters with their options, applied one after the other.
        words: how a text is split into words, and which of them are never replaced.
        pair_mutation: pair variants of a pair's second text with the last variant of the first, instead of the
            original first text.
        unlabelled: augment the unlabelled rows too.
        seed: seed of the draws.
    """
    check_same_rows(run, "candidates")
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
        candidates=run.artifact("candidates").absolute(),  # workers may have another working directory
        scratch=run.scratch.absolute(),
    )
    rows = partial(task_rows, run.artifact("task_data"), unlabelled=unlabelled)
    run.record(**build_variants(rows, drawing, output=run.output, progress=run.progress, fan_out=run.fan_out))
