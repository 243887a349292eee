import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

from pipeline.errors import ConfigError, TrainingError
from pipeline.evaluation.metrics import (
    METRICS,
    bootstrap_difference,
    bootstrap_interval,
    compute_metrics,
    main_metric,
)

columns = st.integers(2, 5).flatmap(
    lambda classes: st.lists(
        st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=40
    )
)


@given(columns)
@settings(deadline=None)
def test_classification_scores_are_those_of_scikit_learn(rows):
    predictions, labels = np.array(rows).T
    binary = max(predictions.max(), labels.max()) < 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        f1 = reference.f1_score(labels, predictions, average="binary" if binary else "macro")
        matthews = reference.matthews_corrcoef(labels, predictions)
    accuracy = reference.accuracy_score(labels, predictions)
    assert compute_metrics("accuracy", predictions, labels) == pytest.approx({"accuracy": accuracy})
    assert compute_metrics("f1", predictions, labels) == pytest.approx({"f1": f1})
    assert compute_metrics("matthews", predictions, labels) == pytest.approx({"matthews": matthews})
    assert compute_metrics("accuracy_and_f1", predictions, labels) == pytest.approx(
        {"accuracy": accuracy, "f1": f1, "accuracy_and_f1": (accuracy + f1) / 2}
    )


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=3, max_size=40))
@settings(deadline=None)
def test_correlations_are_those_of_scipy_and_zero_where_it_says_nan(rows):
    predictions, labels = np.array(rows, dtype=float).T / 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [
            np.nan_to_num(correlation(predictions, labels).statistic)
            for correlation in (stats.pearsonr, stats.spearmanr)
        ]
    found = compute_metrics("pearson_spearman", predictions, labels)
    assert found == pytest.approx(
        {"pearson": expected[0], "spearman": expected[1], "pearson_spearman": np.mean(expected)}, abs=1e-9
    )


@pytest.mark.parametrize("value", [0.1, 1e-12, 3e8])
def test_constant_predictions_correlate_with_nothing(value):
    scores = compute_metrics("pearson_spearman", [value] * 7, np.arange(7) / 7)
    assert scores == {"pearson": 0.0, "spearman": 0.0, "pearson_spearman": 0.0}
    assert compute_metrics("matthews", [1] * 7, [0, 1, 1, 0, 1, 0, 1]) == {"matthews": 0.0}


@pytest.mark.parametrize("metric", METRICS)
def test_the_main_score_is_among_the_scores(metric):
    assert main_metric(metric) in compute_metrics(metric, [0, 1, 1], [0, 1, 0])


def test_an_unknown_metric_names_the_known_ones():
    with pytest.raises(ConfigError, match="'bleu': choose one of accuracy, f1"):
        main_metric("bleu")


def test_predictions_that_are_not_numbers_are_said_to_be_so():
    with pytest.raises(TrainingError, match="1 of 3 predictions are not finite"):
        compute_metrics("pearson_spearman", [1.0, float("nan"), 2.0], [1.0, 2.0, 3.0])


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match="not two columns"):
        compute_metrics("accuracy", [1, 0], [1])


def noisy(share_right, rows=400, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=rows)
    wrong = (labels + rng.integers(1, classes, size=rows)) % classes
    return np.where(rng.random(rows) < share_right, labels, wrong), labels


@pytest.mark.parametrize("metric", METRICS)
def test_the_bootstrap_agrees_with_drawing_rows_by_hand(metric):
    predictions, labels = noisy(0.8, rows=120)
    rng = np.random.default_rng(1)
    key = main_metric(metric)
    scores = []
    for _ in range(800):
        rows = rng.integers(len(labels), size=len(labels))
        scores.append(compute_metrics(metric, predictions[rows], labels[rows])[key])
    by_hand = np.quantile(scores, [0.025, 0.975])
    found = bootstrap_interval(metric, predictions, labels, 4000, 0)
    assert found == pytest.approx(by_hand, abs=0.03)
    assert found[0] < compute_metrics(metric, predictions, labels)[key] < found[1]


@pytest.mark.parametrize("metric", METRICS)
def test_the_bootstrap_repeats_itself_and_widens_with_its_level(metric):
    predictions, labels = noisy(0.7)
    first = bootstrap_interval(metric, predictions, labels, 200, 5)
    assert first == bootstrap_interval(metric, predictions, labels, 200, 5)
    assert first != bootstrap_interval(metric, predictions, labels, 200, 6)
    wide = bootstrap_interval(metric, predictions, labels, 200, 5, level=0.99)
    assert wide[0] < first[0] < first[1] < wide[1]


def test_resamples_drawn_in_pieces_cover_what_was_asked_for():
    # 30 classes and more rows than a piece holds: 2 million numbers at once
    predictions, labels = noisy(0.5, rows=3000, classes=30)
    low, high = bootstrap_interval("accuracy", predictions, labels, 2500, 0)
    spread = 1.96 * np.sqrt(0.25 / 3000)
    assert (high - low) / 2 == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize("metric", METRICS)
def test_the_difference_is_paired(metric):
    a, labels = noisy(0.8)
    difference, low, high = bootstrap_difference(metric, a, a, labels, 100, 0)
    assert (difference, low, high) == (0.0, 0.0, 0.0)  # unpaired draws would spread
    b = a.copy()
    b[::10] = (labels[::10] + 1) % 3
    difference, low, high = bootstrap_difference(metric, a, b, labels, 500, 0)
    key = main_metric(metric)
    gap = compute_metrics(metric, a, labels)[key] - compute_metrics(metric, b, labels)[key]
    assert difference == pytest.approx(gap)
    assert 0 < low < difference < high


def test_both_models_are_scored_over_the_classes_of_either():
    # only a speaks of class 2; b's F1 must be macro as well, alone it would be that of class 1
    labels, a, b = [0, 1, 1, 0], [2, 1, 1, 0], [0, 1, 0, 0]
    difference, _, _ = bootstrap_difference("f1", a, b, labels, 10, 0)
    expected = reference.f1_score(labels, a, average="macro", zero_division=0) - reference.f1_score(
        labels, b, average="macro"
    )
    assert difference == pytest.approx(expected)
