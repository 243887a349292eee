"""Methods with several seeds: their intervals and p-values cover both sources of chance."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.evaluation.kept_predictions import read_predictions, write_predictions
from pipeline.evaluation.scores import Scoring
from pipeline.evaluation.seeds import holm, seeds_difference, seeds_score

ACCURACY = Scoring("accuracy", 2)


def answers(generator: np.random.Generator, labels: np.ndarray, right: float) -> np.ndarray:
    return np.where(generator.random(len(labels)) < right, labels, 1 - labels)


def test_the_mean_is_over_seeds_and_the_interval_holds_it() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(2, size=500)
    by_seed = [answers(generator, labels, right) for right in (0.7, 0.8, 0.9)]
    found = seeds_score(ACCURACY, by_seed, labels, 400, 1)
    assert found.by_seed == pytest.approx([(column == labels).mean() for column in by_seed])
    assert found.mean == pytest.approx(np.mean(found.by_seed))
    assert found.interval[0] < found.mean < found.interval[1]
    alike = seeds_score(ACCURACY, [by_seed[1]] * 3, labels, 400, 1)
    assert alike.interval[1] - alike.interval[0] < found.interval[1] - found.interval[0]  # seeds vary as well


def test_a_better_method_is_found_better_and_the_same_one_is_not() -> None:
    generator = np.random.default_rng(1)
    labels = generator.integers(2, size=400)
    good, bad = ([answers(generator, labels, right) for _ in range(3)] for right in (0.9, 0.7))
    better = seeds_difference(ACCURACY, good, bad, labels, 300, 2)
    assert better.p == pytest.approx(2 / 301)
    assert better.interval[0] > 0
    same = seeds_difference(ACCURACY, good, good, labels, 300, 2)
    assert same.mean == 0
    assert same.p == 1
    assert same.interval == (0, 0)


def test_methods_whose_seeds_vary_alike_are_seldom_called_different() -> None:
    """Three seeds, each of another accuracy: a test of the rows alone would find a difference in every fifth pair."""
    generator = np.random.default_rng(2)
    found = []
    for number in range(100):
        labels = generator.integers(2, size=400)
        one, other = (
            [answers(generator, labels, right) for right in generator.normal(0.8, 0.02, size=3)] for _ in range(2)
        )
        found.append(seeds_difference(ACCURACY, one, other, labels, 120, number))
    assert np.mean([difference.p <= 0.05 for difference in found]) <= 0.11
    outside = [difference for difference in found if difference.interval[0] > 0 or difference.interval[1] < 0]
    assert all(difference.p < 0.1 for difference in outside)  # p and interval say the same


@pytest.mark.parametrize("metric", ["f1", "matthews", "accuracy_and_f1", "pearson_spearman"])
def test_every_metric_is_compared(metric: str) -> None:
    generator = np.random.default_rng(3)
    labels = generator.integers(2, size=80)
    scoring = Scoring(metric, 0 if metric == "pearson_spearman" else 2, 1 if "f1" in metric else None)
    one, other = [answers(generator, labels, 0.95)], [answers(generator, labels, 0.6)]
    assert seeds_difference(scoring, one, other, labels, 60, 0).mean > 0


def test_holm_corrects_step_by_step() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_predictions_come_back_whatever_a_model_is_called(tmp_path: Path) -> None:
    rows = pa.table({"row_id": pa.array([4, 7]), "text": ["a", "b"], "label": pa.array([0, 1])})
    write_predictions(tmp_path / "p.parquet", rows, {"label": np.array([1, 1]), "row_id": np.array([0, 1])})
    found = read_predictions(tmp_path / "p.parquet")
    assert found.row_ids.tolist() == [4, 7]
    assert found.labels.tolist() == [0, 1]
    assert {name: column.tolist() for name, column in found.answers.items()} == {"label": [1, 1], "row_id": [0, 1]}
