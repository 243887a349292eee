"""The arithmetic of a run's cost, on machines whose times are known because they are made up."""

import sys
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_run import tiny

from flows.rehearsal import load_libraries
from pipeline.config.training import TrainingConfig
from pipeline.cost.arithmetic import (
    Load,
    Machine,
    Pass,
    RunCost,
    StageCost,
    checkpoint_seconds,
    evaluations,
    linear,
    num_checkpoints,
    seconds_to,
    training_seconds,
    warm_pass,
)
from pipeline.cost.sizes import FEWEST_BATCHES, MOST_BATCHES, batches, resampled, small_training, total_steps
from pipeline.data.tokens.batches import BatchPlan
from pipeline.store.entry import Entry

DISK = Machine(write_seconds=1e-9, read_seconds=2e-10)
seconds = st.floats(0, 1e3)
counts = st.integers(1, 10_000)


@st.composite
def loads(draw: st.DrawFn) -> Load:
    steps = draw(counts)
    return Load(
        tokens=draw(st.floats(1, 1e9)),
        steps=steps,
        total_steps=steps * draw(st.integers(1, 20)),
        evaluations=draw(st.integers(0, 50)),
        dev_share=draw(st.floats(1, 100)),
        checkpoint_bytes=draw(st.floats(0, 1e10)),
        checkpoint_every=draw(st.floats(1, 1e3)),
        checkpoint_share=draw(st.floats(0.01, 1)),
        stored_bytes=draw(st.sampled_from((0.0, 1e9))),
        repeats=draw(st.integers(1, 3)),
    )


@st.composite
def passes(draw: st.DrawFn) -> Pass:
    teacher, optimizer, rest = draw(seconds), draw(seconds), draw(seconds)
    return Pass(
        tokens=draw(st.floats(1, 1e6)),
        steps=draw(st.integers(1, 8)),
        seconds=teacher + optimizer + rest,
        teacher_seconds=teacher,
        optimizer_seconds=optimizer,
        score_seconds=draw(seconds),
        once_seconds=draw(seconds),
    )


@given(
    token=st.floats(1e-6, 1e-2),
    step=st.floats(1e-4, 1),
    score=seconds,
    once=seconds,
    tokens=st.integers(1_000, 100_000),
    steps=counts,
    epochs=st.integers(1, 30),
    small_tokens=st.lists(st.integers(1, 5_000), min_size=2, max_size=8),
)
def test_a_linear_machine_is_told_exactly(
    token: float,
    step: float,
    score: float,
    once: float,
    tokens: int,
    steps: int,
    epochs: int,
    small_tokens: list[int],
) -> None:
    """Tokens, steps, evaluations and the beginning each at a price of their own, as a record would have it."""
    durations = [token * count + step for count in small_tokens] * 2
    durations[len(small_tokens)] += score  # the evaluation at the end of the first pass comes before the next step
    marks = [(once + time, number) for number, time in enumerate(accumulate(durations), 1)]
    speed = {
        "teacher_seconds": 0.0,
        "student_seconds": 2 * token * sum(small_tokens),
        "optimizer_seconds": 2 * step * len(small_tokens),
        "score_seconds": 2 * score,
    }
    whole = once + sum(durations) + score
    rehearsed = warm_pass(marks, len(small_tokens), sum(small_tokens), speed, whole, evaluations=1)
    load = Load(tokens=tokens, steps=steps, total_steps=steps * epochs, evaluations=epochs, dev_share=7)
    wanted = once + epochs * (token * tokens + step * steps + 7 * score)
    assert training_seconds(rehearsed, load, DISK) == pytest.approx(wanted, rel=1e-6, abs=1e-6)


@given(rehearsed=passes(), load=loads(), more=st.floats(1, 10), epochs=st.integers(1, 5))
def test_more_costs_more(rehearsed: Pass, load: Load, more: float, epochs: int) -> None:
    here = training_seconds(rehearsed, load, DISK)
    assert here >= rehearsed.once_seconds
    for larger in (
        replace(load, tokens=load.tokens * more),
        replace(load, total_steps=load.total_steps + epochs * load.steps),
        replace(load, dev_share=load.dev_share * more),
        replace(load, repeats=load.repeats + epochs),
    ):
        assert training_seconds(rehearsed, larger, DISK) >= here * (1 - 1e-9)


def test_stored_features_spare_the_teacher_of_every_pass_but_the_first() -> None:
    rehearsed = Pass(tokens=100, steps=1, seconds=10.0, teacher_seconds=6.0, optimizer_seconds=1.0)
    load = Load(tokens=1_000, steps=10, total_steps=50)
    assert training_seconds(rehearsed, load, DISK) == pytest.approx(5 * (60 + 30 + 10))
    stored = training_seconds(rehearsed, replace(load, stored_bytes=1e9), DISK)
    assert stored == pytest.approx(60 + 1 + 4 * 0.2 + 5 * 40)


@given(training=st.floats(1, 1e5), load=loads())
def test_checkpoints_take_no_more_than_their_share(training: float, load: Load) -> None:
    assert checkpoint_seconds(training, load, DISK) <= training * load.checkpoint_share * (1 + 1e-9)


def test_checkpoints_come_at_their_interval_and_not_at_the_end() -> None:
    assert [num_checkpoints(training, 60.0) for training in (0, 59, 61, 600)] == [0, 0, 1, 10]
    load = Load(tokens=1, steps=1, total_steps=1, checkpoint_bytes=1e9, checkpoint_every=60, checkpoint_share=0.05)
    assert checkpoint_seconds(610, load, DISK) == pytest.approx(10)


@given(steps=st.integers(1, 200), epochs=st.integers(1, 5), per_epoch=st.floats(0.1, 20))
def test_evaluations_are_those_that_the_loop_makes(steps: int, epochs: int, per_epoch: float) -> None:
    every, total = max(1, round(steps / per_epoch)), steps * epochs
    asked = [step for step in range(1, total + 1) if step % every == 0 or step == total]
    assert evaluations(steps, total, per_epoch) == len(asked)


@given(first=seconds, pace=st.floats(1e-4, 10), size=st.integers(1, 100), marks=st.integers(2, 9), after=seconds)
def test_a_stage_goes_on_at_the_pace_it_had(first: float, pace: float, size: int, marks: int, after: float) -> None:
    told = [(first + pace * size * number, size * number) for number in range(marks)]
    there = told[-1][0] + after
    assert seconds_to(told, there, size * (marks - 1)) == pytest.approx(there)
    wanted = first + pace * size * 1_000 + after
    assert seconds_to(told, there, size * 1_000) == pytest.approx(wanted, rel=1e-6, abs=1e-6)


def test_the_pace_is_that_of_warm_caches() -> None:
    assert seconds_to([(0, 0), (10, 100), (12, 200), (14, 300)], 15, 1_000) == pytest.approx(15 + 700 * 0.02)
    assert seconds_to([(2.0, 4)], 3, 8) == pytest.approx(5)


@given(fixed=seconds, pace=st.floats(1e-4, 10), small=st.integers(1, 100), more=st.integers(1, 100), units=counts)
def test_a_line_goes_through_two_measurements(fixed: float, pace: float, small: int, more: int, units: int) -> None:
    found = linear((fixed + pace * small, small), (fixed + pace * (small + more), small + more), units)
    assert found == pytest.approx(fixed + pace * units, rel=1e-3, abs=1e-6)


def test_noise_never_lets_more_units_cost_less() -> None:
    assert linear((2.0, 10), (1.0, 40), 400) == pytest.approx(10.0)
    assert linear((1.0, 10), (1.0, 10), 20) == pytest.approx(2.0)


def test_the_whole_is_the_sum_of_time_and_disk_and_the_most_of_memory() -> None:
    stages = (
        StageCost("teacher", "run", seconds=10, disk_bytes=5, scratch_bytes=20, peak_bytes=7),
        StageCost("prediction", "run", seconds=2, disk_bytes=6, scratch_bytes=1, peak_bytes=9),
        StageCost("report", "reuse"),
    )
    cost = RunCost(stages, start_seconds=3)
    assert (cost.seconds, cost.disk_bytes, cost.peak_disk_bytes, cost.peak_bytes) == (15, 11, 25, 9)
    assert RunCost(()).peak_bytes == 0


@given(
    batch=st.integers(1, 300),
    tokens=st.floats(1, 128),
    second=st.floats(1e-7, 1),
    max_tokens=st.none() | st.integers(64, 40_000),
)
def test_a_small_training_is_two_passes_over_few_batches(
    batch: int, tokens: float, second: float, max_tokens: int | None
) -> None:
    config = TrainingConfig(batch_size=batch, max_tokens=max_tokens, epochs=9, max_steps=5, gradient_accumulation=4)
    made = small_training(config, tokens_a_row=tokens, max_length=128, seconds_a_token=second, budget=4.0)
    assert (made.config.epochs, made.config.max_steps, made.config.gradient_accumulation) == (2, None, 1)
    real = max(1.0, max_tokens / tokens) if max_tokens else float(batch)
    assert 1 <= made.rows <= MOST_BATCHES * real + 1
    assert made.larger_batches >= 1
    affordable = 4.0 / (2 * second * tokens)
    assert made.rows <= max(affordable + 1, FEWEST_BATCHES * 4 + 1)
    if affordable >= FEWEST_BATCHES * real:
        assert made.larger_batches == pytest.approx(1)
        assert made.config.batch_size == batch


@given(
    lengths=st.lists(st.integers(3, 64), min_size=1, max_size=300),
    batch=st.integers(1, 40),
    max_tokens=st.none() | st.integers(64, 500),
    accumulate_over=st.integers(1, 3),
    padding=st.sampled_from(("longest", "max_length")),
)
def test_batches_of_all_rows_are_those_of_the_plan(
    lengths: list[int], batch: int, max_tokens: int | None, accumulate_over: int, padding: str
) -> None:
    rows = np.array(lengths, np.int32)
    config = TrainingConfig.model_validate(
        {
            "batch_size": batch,
            "max_tokens": max_tokens,
            "gradient_accumulation": accumulate_over,
            "padding": padding,
        }
    )
    plan = BatchPlan(rows, batch, 3, max_tokens=max_tokens, pad_to=64 if padding == "max_length" else None)
    found = batches(rows, len(rows), config, max_length=64)
    assert found.steps == -(-len(plan) // accumulate_over)
    widths = [64 if padding == "max_length" else int(rows[chosen].max()) for chosen in plan.epoch(0)]
    padded = sum(len(chosen) * width for chosen, width in zip(plan.epoch(0), widths, strict=True))
    assert found.tokens == pytest.approx(padded)


def test_batches_of_more_rows_than_are_planned_grow_with_them() -> None:
    lengths = np.arange(4, 60, dtype=np.int32)
    config = TrainingConfig(batch_size=32)
    some, many = (batches(lengths, rows, config, max_length=64) for rows in (200_000, 2_000_000))
    assert many.steps == 10 * some.steps
    assert many.tokens == pytest.approx(10 * some.tokens)


@given(lengths=st.lists(st.integers(1, 100), min_size=1, max_size=50), rows=st.integers(2, 500))
def test_stretched_lengths_keep_their_range(lengths: list[int], rows: int) -> None:
    found = resampled(np.array(lengths, np.int32), rows)
    assert len(found) == rows
    assert (found.min(), found.max()) == (min(lengths), max(lengths))


def test_steps_stop_where_the_training_does() -> None:
    assert total_steps(TrainingConfig(epochs=3), 10) == 30
    assert total_steps(TrainingConfig(epochs=3, max_steps=7), 10) == 7


def test_what_every_stage_imports_is_imported_before_it_is_timed(tmp_path: Path) -> None:
    stages = tiny(tmp_path).stages()
    load_libraries(stages)
    work = {stage.run.module for stage in stages if isinstance(stage.run, Entry)}
    assert work
    assert work <= set(sys.modules)
