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
from pipeline.evaluation.scores import Scoring

columns = st.integers(2, 5).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=40),
    )
)


def of(metric, classes=3):
    """How a task with so many labels is scored: two have a positive one."""
    return Scoring(metric, classes, 1 if classes == 2 else None)


@given(columns)
@settings(deadline=None)
def test_classification_scores_are_those_of_scikit_learn(drawn):
    classes, rows = drawn
    predictions, labels = np.array(rows).T
    average = {"average": "binary"} if classes == 2 else {"average": "macro", "labels": np.unique(labels)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        f1 = reference.f1_score(labels, predictions, **average)
        matthews = reference.matthews_corrcoef(labels, predictions)
    accuracy = reference.accuracy_score(labels, predictions)
    assert compute_metrics(of("accuracy", classes), predictions, labels) == pytest.approx({"accuracy": accuracy})
    assert compute_metrics(of("f1", classes), predictions, labels) == pytest.approx({"f1": f1})
    assert compute_metrics(of("matthews", classes), predictions, labels) == pytest.approx({"matthews": matthews})
    assert compute_metrics(of("accuracy_and_f1", classes), predictions, labels) == pytest.approx(
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
    found = compute_metrics(Scoring("pearson_spearman"), predictions, labels)
    assert found == pytest.approx(
        {"pearson": expected[0], "spearman": expected[1], "pearson_spearman": np.mean(expected)}, abs=1e-9
    )


@pytest.mark.parametrize("value", [0.1, 1e-12, 3e8])
def test_constant_predictions_correlate_with_nothing(value):
    scores = compute_metrics(Scoring("pearson_spearman"), [value] * 7, np.arange(7) / 7)
    assert scores == {"pearson": 0.0, "spearman": 0.0, "pearson_spearman": 0.0}
    assert compute_metrics(of("matthews", 2), [1] * 7, [0, 1, 1, 0, 1, 0, 1]) == {"matthews": 0.0}


@pytest.mark.parametrize("metric", METRICS)
def test_the_main_score_is_among_the_scores(metric):
    assert main_metric(metric) in compute_metrics(of(metric), [0, 1, 1], [0, 1, 0])


def test_an_unknown_metric_names_the_known_ones():
    with pytest.raises(ConfigError, match="'bleu': choose one of accuracy, f1"):
        main_metric("bleu")


def test_predictions_that_are_not_numbers_are_said_to_be_so():
    with pytest.raises(TrainingError, match="1 of 3 predictions are not finite"):
        compute_metrics(Scoring("pearson_spearman"), [1.0, float("nan"), 2.0], [1.0, 2.0, 3.0])


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match="not two columns"):
        compute_metrics(of("accuracy"), [1, 0], [1])


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
        scores.append(compute_metrics(of(metric), predictions[rows], labels[rows])[key])
    by_hand = np.quantile(scores, [0.025, 0.975])
    found = bootstrap_interval(of(metric), predictions, labels, 4000, 0)
    assert found == pytest.approx(by_hand, abs=0.03)
    assert found[0] < compute_metrics(of(metric), predictions, labels)[key] < found[1]


@pytest.mark.parametrize("metric", METRICS)
def test_the_bootstrap_repeats_itself(metric):
    predictions, labels = noisy(0.7)
    first = bootstrap_interval(of(metric), predictions, labels, 200, 5)
    assert first == bootstrap_interval(of(metric), predictions, labels, 200, 5)
    assert first != bootstrap_interval(of(metric), predictions, labels, 200, 6)


def test_resamples_drawn_in_pieces_cover_what_was_asked_for():
    # 30 classes and more rows than a piece holds: 2 million numbers at once
    predictions, labels = noisy(0.5, rows=3000, classes=30)
    low, high = bootstrap_interval(of("accuracy", 30), predictions, labels, 2500, 0)
    spread = 1.96 * np.sqrt(0.25 / 3000)
    assert (high - low) / 2 == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize("metric", METRICS)
def test_the_difference_is_paired(metric):
    a, labels = noisy(0.8)
    difference, low, high = bootstrap_difference(of(metric), a, a, labels, 100, 0)
    assert (difference, low, high) == (0.0, 0.0, 0.0)  # unpaired draws would spread
    b = a.copy()
    b[::10] = (labels[::10] + 1) % 3
    difference, low, high = bootstrap_difference(of(metric), a, b, labels, 500, 0)
    key = main_metric(metric)
    gap = compute_metrics(of(metric), a, labels)[key] - compute_metrics(of(metric), b, labels)[key]
    assert difference == pytest.approx(gap)
    assert 0 < low < difference < high


def test_f1_is_of_the_class_that_is_meant():
    # fraud is class 0: a model that never finds it has found nothing, whatever it says of the others
    labels = [0] * 10 + [1] * 90
    assert compute_metrics(Scoring("f1", 2, 0), [1] * 100, labels) == {"f1": 0.0}
    assert compute_metrics(Scoring("f1", 2, 1), [1] * 100, labels)["f1"] == pytest.approx(0.947, abs=1e-3)


def test_two_models_are_measured_by_one_rule_where_a_class_is_missing():
    # no row is of class 2, and only a speaks of it: both are the mean over the two classes that are there
    labels, a, b = [0, 1, 1, 0, 1], [2, 1, 1, 0, 1], [0, 1, 0, 0, 1]
    scores = {}
    for name, predictions in (("a", a), ("b", b)):
        scores[name] = compute_metrics(of("f1"), predictions, labels)["f1"]
        assert scores[name] == pytest.approx(reference.f1_score(labels, predictions, average="macro", labels=[0, 1]))
    difference, low, high = bootstrap_difference(of("f1"), a, b, labels, 500, 0)
    assert difference == pytest.approx(scores["a"] - scores["b"])
    assert low < difference < high


def test_a_class_beyond_the_tasks_is_no_score():
    with pytest.raises(ValueError, match="class 3 of a task with 3 labels"):
        compute_metrics(of("f1"), [0, 3], [0, 1])
