"""What is said of timings, on timings that are drawn: no clock is asked."""

import numpy as np
import pytest

from pipeline.evaluation.latency import LARGEST_SPREAD, summarise_times

ROUNDS, TRIALS = 40, 200


def calm(dice, models):
    return 1 + 0.03 * dice.gamma(1, 1, (ROUNDS, models))


def hiccups(dice, models):
    """Now and then a pass takes several times as long."""
    return 1 + 0.1 * dice.pareto(1.5, (ROUNDS, models))


def busy_spells(dice, models):
    """For some rounds on end another process computes."""
    slow = np.repeat(dice.random(ROUNDS // 5) < 0.4, 5)[:, None]
    return (1 + 1.2 * slow) * (1 + 0.1 * dice.gamma(1, 1, (ROUNDS, models)))


def shared(dice, models):
    """Every second pass is held up for a while."""
    held_up = (dice.random((ROUNDS, models)) < 0.5) * dice.random((ROUNDS, models))
    return 1 + held_up + 0.05 * dice.gamma(1, 1, (ROUNDS, models))


MACHINES = (calm, hiccups, busy_spells, shared)


def judged(times, seed=0):
    names = ("teacher", "other")
    return summarise_times(dict(zip(names, times.T, strict=True)), "teacher", seed)


@pytest.mark.parametrize("machine", MACHINES)
def test_the_interval_of_two_nets_that_are_the_same_contains_one(machine):
    """In at least 19 of 20 measurements, whatever the machine does; 4 of 200 are left to chance."""
    dice = np.random.default_rng(1)
    speeds = [judged(machine(dice, 2), seed)["other"]["speed"] for seed in range(TRIALS)]
    missed = sum(not low <= 1 <= high for _, low, high in speeds)
    assert missed <= TRIALS // 20 + 4


@pytest.mark.parametrize("machine", MACHINES)
def test_a_net_that_is_twice_as_fast_is_told_from_its_teacher(machine):
    dice = np.random.default_rng(2)
    ratio, low, high = judged(machine(dice, 2) * (2, 1))["other"]["speed"]
    assert 1 < low <= ratio <= high
    assert ratio == pytest.approx(2, rel=0.15)


def test_company_moves_the_median_and_not_what_is_shown():
    dice = np.random.default_rng(3)
    quiet, disturbed = (judged(machine(dice, 2))["teacher"] for machine in (calm, shared))
    assert disturbed["milliseconds"] == pytest.approx(quiet["milliseconds"], rel=0.03)
    assert disturbed["median"] > 1.04 * quiet["median"]


def test_scattered_times_are_not_reliable():
    dice = np.random.default_rng(4)
    assert [judged(machine(dice, 2))["teacher"]["reliable"] for machine in (calm, shared)] == [True, False]


def test_nor_is_what_is_compared_with_scattered_times():
    steady = np.full(10, 2.0)
    scattered = np.linspace(1, 2 * LARGEST_SPREAD, 10)
    found = summarise_times({"teacher": scattered, "other": steady, "alone": steady}, "teacher", 0)
    assert [found[name]["reliable"] for name in ("teacher", "other")] == [False, False]
    assert summarise_times({"other": steady}, "teacher", 0)["other"]["reliable"]


def test_the_same_times_are_judged_the_same():
    times = calm(np.random.default_rng(5), 2)
    assert judged(times) == judged(times)
    assert judged(times)["teacher"]["speed"] is None
    assert summarise_times({"other": times[:, 0]}, None, 0)["other"]["speed"] is None
