from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.tokens.batches import BatchPlan, token_bounds

QUICK = settings(deadline=None, max_examples=60)


@st.composite
def plans(draw: Any) -> BatchPlan:
    lengths = np.array(draw(st.lists(st.integers(1, 40), min_size=1, max_size=80)), np.int32)
    return BatchPlan(
        lengths,
        draw(st.integers(1, 20)),
        draw(st.integers(0, 2**31)),
        max_tokens=draw(st.none() | st.integers(1, 200)),
        drop_last=draw(st.booleans()),
        pad_to=draw(st.none() | st.just(40)),
    )


@QUICK
@given(plan=plans(), epoch=st.integers(0, 1000))
def test_every_row_comes_once_an_epoch(plan: BatchPlan, epoch: int) -> None:
    batches = plan.epoch(epoch)
    assert len(batches) == len(plan)
    assert all(len(rows) for rows in batches)
    seen = np.concatenate(batches)
    assert len(set(seen.tolist())) == len(seen)
    dropped = len(plan.lengths) - len(seen)
    if plan.drop_last and plan.max_tokens is None:
        enough = len(plan.lengths) >= plan.batch_size
        assert dropped == (len(plan.lengths) % plan.batch_size if enough else 0)
    else:
        assert dropped == 0


@QUICK
@given(plan=plans(), epoch=st.integers(0, 1000))
def test_batches_keep_to_their_size(plan: BatchPlan, epoch: int) -> None:
    for rows in plan.epoch(epoch):
        width = plan.pad_to or int(plan.lengths[rows].max())
        if plan.max_tokens is None:
            assert len(rows) <= plan.batch_size
        else:
            assert width * len(rows) <= plan.max_tokens or len(rows) == 1


@QUICK
@given(plan=plans(), epoch=st.integers(0, 1000))
def test_the_order_is_a_function_of_seed_and_epoch(plan: BatchPlan, epoch: int) -> None:
    again = BatchPlan(**{name: getattr(plan, name) for name in BatchPlan.__dataclass_fields__})
    again.epoch(epoch + 1)  # what was asked before is of no account
    for a, b in zip(plan.epoch(epoch), again.epoch(epoch), strict=True):
        assert np.array_equal(a, b)


def test_epochs_and_seeds_differ() -> None:
    lengths = np.random.default_rng(0).integers(3, 60, 500).astype(np.int32)
    orders = [np.concatenate(BatchPlan(lengths, 16, seed).epoch(epoch)) for seed in (1, 2) for epoch in (0, 1)]
    for i, a in enumerate(orders):
        assert not any(np.array_equal(a, b) for b in orders[i + 1 :])


@QUICK
@given(plan=plans(), epoch=st.integers(1, 1000))
def test_batches_stay_together_unless_rows_are_dropped(plan: BatchPlan, epoch: int) -> None:
    first, later = ({tuple(rows.tolist()) for rows in plan.epoch(number)} for number in (0, epoch))
    dropped = sum(map(len, first)) < len(plan.lengths)
    assert plan.fixed != dropped
    if plan.fixed:
        assert first == later == {tuple(rows.tolist()) for rows in plan.batches}


@QUICK
@given(plan=plans(), epoch=st.integers(0, 1000))
def test_the_first_epoch_and_dropping_plans_sort_and_shuffle_from_one_stream(plan: BatchPlan, epoch: int) -> None:
    """Written out as numbers are drawn: trainings of one epoch keep the order they were first measured with."""
    epoch = 0 if plan.fixed else epoch
    random = np.random.Generator(np.random.PCG64([plan.seed, epoch]))
    rows = random.permutation(len(plan.lengths))[: sum(map(len, plan.epoch(epoch)))]
    if not plan.pad_to:
        rows = rows[np.argsort(plan.lengths[rows], kind="stable")]
    drawn = plan.epoch(epoch)
    by_place = {int(number): batch for number, batch in zip(random.permutation(len(plan)), drawn, strict=True)}
    assert np.array_equal(np.concatenate([by_place[number] for number in range(len(plan))]), rows)


@QUICK
@given(lengths=st.lists(st.integers(1, 50), max_size=100), max_tokens=st.integers(1, 300))
def test_token_bounds_are_as_full_as_they_can_be(lengths: list[int], max_tokens: int) -> None:
    ascending = sorted(lengths)
    bounds = token_bounds(np.array(ascending, np.int32), max_tokens)
    expected, start = [0], 0
    while start < len(ascending):  # row by row
        end = start + 1
        while end < len(ascending) and ascending[end] * (end + 1 - start) <= max_tokens:
            end += 1
        expected.append(end)
        start = end
    assert bounds == expected


@pytest.mark.parametrize("options", [{"max_tokens": 1024}, {"max_tokens": 4096}, {}])
def test_next_to_nothing_is_padded(options: dict[str, int]) -> None:
    random = np.random.default_rng(0)
    lengths = np.clip(3 + random.geometric(1 / 10, 20_000), 3, 60).astype(np.int32)  # like SST-2
    plan = BatchPlan(lengths, 32, 0, **options)
    assert plan.padding_efficiency >= 0.95
    computed = sum(int(lengths[rows].max()) * len(rows) for rows in plan.epoch(3))
    assert plan.padding_efficiency == pytest.approx(lengths.sum() / computed)
    padded = BatchPlan(lengths, 32, 0, pad_to=60)
    assert padded.padding_efficiency == pytest.approx(lengths.mean() / 60)


def test_the_dropped_rows_are_not_always_the_longest() -> None:
    lengths = np.arange(1, 26, dtype=np.int32)
    plan = BatchPlan(lengths, 10, 0, drop_last=True)
    dropped = [set(range(25)) - set(np.concatenate(plan.epoch(epoch)).tolist()) for epoch in range(30)]
    assert all(len(rows) == 5 for rows in dropped)
    assert set().union(*dropped) == set(range(25))


def test_a_million_rows_are_planned_in_whole_arrays() -> None:
    """A plan that looked at pairs of rows would not end within the test's time limit."""
    lengths = np.random.default_rng(0).integers(3, 128, 1_000_000).astype(np.int32)
    for options in ({"max_tokens": 8192}, {}):
        plan = BatchPlan(lengths, 32, 0, **options)
        assert sum(map(len, plan.epoch(0))) == 1_000_000


def test_no_rows_are_no_batches() -> None:
    for options in ({}, {"max_tokens": 10}, {"pad_to": 8}, {"pad_to": 8, "max_tokens": 10}):
        plan = BatchPlan(np.zeros(0, np.int32), 4, 0, **options)
        assert len(plan) == 0
        assert plan.epoch(0) == []
