"""Compare methods that were each trained with several seeds and judged on the same rows.

The score of a method is the mean over its seeds. Its interval is a bootstrap that draws both seeds and rows again, for
either alone would be too narrow: seeds say how much the training varies, rows how much the test does. Two methods are
compared on the same draws, seed by seed; p is twice the share of draws on the other side of no difference. Several
comparisons are corrected as Holm (1979) did.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.metrics import compute_metrics, interval, main_metric
from pipeline.evaluation.scores import Scoring


@dataclass(frozen=True)
class SeedsScore:
    """A method's score.

    Attributes:
        mean: over seeds.
        interval: of the mean, over seeds and rows, 95%.
        by_seed: the score of each seed.
    """

    mean: float
    interval: tuple[float, float]
    by_seed: tuple[float, ...]


@dataclass(frozen=True)
class SeedsDifference:
    """How far one method is above another.

    Attributes:
        mean: difference of the means over seeds.
        interval: over seeds and rows, paired, 95%.
        p: twice the share of draws in which the difference is none or the other way round, at most 1.
    """

    mean: float
    interval: tuple[float, float]
    p: float


def seeds_score(
    scoring: Scoring, answers: Sequence[np.ndarray], labels: np.ndarray, resamples: int, seed: int
) -> SeedsScore:
    """Score one method.

    Args:
        scoring: of the task.
        answers: of each seed, (rows,).
        labels: (rows,).
        resamples: number of draws of seeds and rows.
        seed: of the draws.
    """
    by_seed = _by_seed(scoring, answers, labels)
    (drawn,) = _resampled(scoring, [answers], labels, resamples, seed)
    return SeedsScore(float(by_seed.mean()), interval(drawn), tuple(by_seed.tolist()))


def seeds_difference(
    scoring: Scoring,
    answers: Sequence[np.ndarray],
    others: Sequence[np.ndarray],
    labels: np.ndarray,
    resamples: int,
    seed: int,
) -> SeedsDifference:
    """Compare two methods whose seeds are paired, each (rows,) on the same rows.

    Args:
        scoring: of the task.
        answers: of the first method, by seed.
        others: of the second method, by seed; as many.
        labels: (rows,).
        resamples: number of draws.
        seed: of the draws.
    """
    observed = _mean(scoring, answers, labels) - _mean(scoring, others, labels)
    first, second = _resampled(scoring, [answers, others], labels, resamples, seed)
    drawn = first - second
    beyond = 1 + min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return SeedsDifference(float(observed), interval(drawn), min(1.0, 2 * beyond / (resamples + 1)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number by Holm's step-down method, in the order given, at most 1."""
    order = np.argsort(p_values, kind="stable")
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def _by_seed(scoring: Scoring, answers: Sequence[np.ndarray], labels: np.ndarray) -> np.ndarray:
    main = main_metric(scoring.metric)
    return np.array([compute_metrics(scoring, found, labels)[main] for found in answers])


def _mean(scoring: Scoring, answers: Sequence[np.ndarray], labels: np.ndarray) -> float:
    return float(_by_seed(scoring, answers, labels).mean())


def _resampled(
    scoring: Scoring, methods: Sequence[Sequence[np.ndarray]], labels: np.ndarray, resamples: int, seed: int
) -> list[np.ndarray]:
    """Mean scores of each method over the same draws of seeds and rows: for each, (resamples,)."""
    generator = np.random.default_rng(seed)
    seeds = len(methods[0])
    drawn = np.empty((len(methods), resamples))
    for number in range(resamples):
        chosen, rows = generator.integers(seeds, size=seeds), generator.integers(len(labels), size=len(labels))
        for place, answers in enumerate(methods):
            drawn[place, number] = _mean(scoring, [answers[one][rows] for one in chosen], labels[rows])
    return list(drawn)
