from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.tokens.batches import BatchPlan
from pipeline.training.counts import NAMES, count, total
from pipeline.training.feed import Feed, Step

QUICK = settings(max_examples=30, deadline=None)


def reader(lengths: np.ndarray) -> Callable[[np.ndarray, int], dict[str, torch.Tensor]]:
    """Rows whose tokens are their own number; what is drawn for a batch depends on the whole of it."""

    def read(rows: np.ndarray, draw: int) -> dict[str, torch.Tensor]:
        mask = torch.arange(int(lengths[rows].max())) < torch.from_numpy(lengths[rows])[:, None]
        noise = torch.from_numpy(np.random.default_rng(draw).random(len(rows)))
        return {"input_ids": torch.from_numpy(rows)[:, None] * mask, "attention_mask": mask, "noise": noise}

    return read


def steps(lengths: np.ndarray, total_steps: int, start: int = 0, **options: Any) -> list[Step]:
    with Feed(BatchPlan(lengths, 3, 1), reader(lengths), total=total_steps, **options) as feed:
        return [feed.take(step) for step in range(start, total_steps)]


@QUICK
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=14).map(lambda found: np.array(found, np.int32)),
    world=st.integers(1, 4),
    accumulate=st.integers(1, 3),
)
def test_processes_share_every_batch_out(lengths: np.ndarray, world: int, accumulate: int) -> None:
    whole = steps(lengths, 4, accumulate=accumulate)
    shared = [steps(lengths, 4, accumulate=accumulate, rank=rank, world=world) for rank in range(world)]
    for number, step in enumerate(whole):
        for place, micro in enumerate(step.micro):
            parts = [ranks[number].micro[place] for ranks in shared]
            working = [part for part in parts if np.isfinite(part.counts["rows"])]
            assert sorted(np.concatenate([part.rows for part in working])) == sorted(micro.rows)
            assert all(part.counts == micro.counts == step.counts for part in working)
            assert all(part.draw == micro.draw for part in parts)
            for part in working:  # what was drawn for a row does not depend on who reads it
                drawn = dict(zip(micro.rows.tolist(), micro.batch["noise"].tolist(), strict=True))
                assert [drawn[row] for row in part.rows.tolist()] == part.batch["noise"].tolist()
            for part in parts:  # one row at least, so that nobody is missing where gradients are averaged
                assert len(part.batch["input_ids"]) == len(part.rows) >= 1


def test_steps_are_the_same_wherever_a_training_goes_on() -> None:
    lengths = np.arange(1, 11, dtype=np.int32)
    whole, rest = steps(lengths, 9), steps(lengths, 9, start=5)
    for step, again in zip(whole[5:], rest, strict=True):
        assert step.counts == again.counts
        assert step.micro[0].rows.tolist() == again.micro[0].rows.tolist()


def test_one_step_is_read_ahead_and_none_beyond_the_last() -> None:
    lengths = np.ones(30, np.int32)
    drawn: list[int] = []
    plain = reader(lengths)

    def read(rows: np.ndarray, draw: int) -> dict[str, torch.Tensor]:
        drawn.append(draw)
        return plain(rows, draw)

    with Feed(BatchPlan(lengths, 3, 1), read, total=4) as feed:
        for step in range(4):
            feed.take(step)
    assert drawn == [0, 1, 2, 3]


def test_a_mistake_in_reading_is_raised_where_the_step_is_taken() -> None:
    lengths = np.ones(6, np.int32)

    def read(rows: np.ndarray, draw: int) -> dict[str, torch.Tensor]:
        if draw == 1:
            raise ValueError("row 3 is broken")
        return reader(lengths)(rows, draw)

    with Feed(BatchPlan(lengths, 3, 1), read, total=2) as feed:
        feed.take(0)
        with pytest.raises(ValueError, match="row 3 is broken"):
            feed.take(1)


@QUICK
@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_counts(lengths: list[int]) -> None:
    mask = torch.arange(7) < torch.tensor(lengths)[:, None]
    labels = torch.where(mask, 3, -100)
    found = count({"attention_mask": mask, "labels": labels})
    assert found == {
        "rows": len(lengths),
        "labelled": 0,
        "tokens": sum(lengths),
        "pairs": sum(length**2 for length in lengths),
        "positions": 7 * len(lengths),
        "position_pairs": 49 * len(lengths),
        "predicted": sum(lengths),
    }
    assert count({"attention_mask": mask, "labels": torch.ones(len(lengths))})["predicted"] == 0
    assert total([found, found]) == {name: 2 * found[name] for name in NAMES}


@QUICK
@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.integers(0, 8))
def test_counts_within_a_window(lengths: list[int], window: int) -> None:
    mask = torch.arange(7) < torch.tensor(lengths)[:, None]
    found = count({"attention_mask": mask}, [window])
    near = [(i, j) for i in range(7) for j in range(7) if abs(i - j) <= window]
    assert found[f"pairs_{window}"] == sum(max(i, j) < length for length in lengths for i, j in near)
    assert found[f"position_pairs_{window}"] == len(near) * len(lengths)
    assert total([found, found])[f"pairs_{window}"] == 2 * found[f"pairs_{window}"]


def test_batches_of_a_step_are_padded_alike_where_padding_counts() -> None:
    lengths = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 3, 4, 5], np.int32)
    apart, alike = (steps(lengths, 2, accumulate=2, alike=alike) for alike in (False, True))
    for one, other in zip(apart, alike, strict=True):
        longest = max(micro.batch["input_ids"].shape[1] for micro in one.micro)
        assert len({micro.batch["input_ids"].shape[1] for micro in one.micro}) > 1
        assert [micro.rows.tolist() for micro in other.micro] == [micro.rows.tolist() for micro in one.micro]
        assert {micro.batch["input_ids"].shape[1] for micro in other.micro} == {longest}
        assert other.counts["positions"] == longest * other.counts["rows"]
        assert other.counts["tokens"] == one.counts["tokens"]
