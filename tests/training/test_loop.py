from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.config.training import TrainingConfig
from pipeline.data.tokens.batches import BatchPlan
from pipeline.errors import TrainingError
from pipeline.features import Moment
from pipeline.training.schedule import learning_rate

Make = Callable[..., nn.Module]
Bytes = Callable[[nn.Module], dict[str, bytes]]


class Sum(nn.Module):
    """A mean over the real tokens of the whole step."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, 30))

    def forward(self, batch: dict[str, torch.Tensor], _target: object, moment: Moment) -> dict[str, torch.Tensor]:
        squared = (self.weight[batch["input_ids"]] - 0.3).square()
        return {"term": squared[batch["attention_mask"]].sum() / moment.counts["tokens"]}


def equal_rows(rows: np.ndarray, _step: int) -> dict[str, torch.Tensor]:
    ids = np.stack([np.random.default_rng(int(row)).integers(0, 30, 5) for row in rows])
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.ones(len(rows), 5, dtype=torch.bool)}


def test_training_learns(world: Any, make_learner: Make) -> None:
    config = TrainingConfig(epochs=20, learning_rate=0.05, batch_size=4)
    histories, speed = world.train(world.training({"a": make_learner(1, dropout=0.0)}), config=config)
    curve = histories["a"].curve
    assert curve[-1]["loss"] < 0.8 * curve[0]["loss"]
    for point in curve:
        assert point["loss"] == pytest.approx(point["tokens"] + point["target"], rel=1e-5)
    assert [point["step"] for point in curve] == list(range(1, 121))
    assert speed["steps"] == 120
    assert 0 < speed["padding_efficiency"] <= 1


def test_a_learner_does_not_depend_on_who_else_is_trained(world: Any, make_learner: Make, bytes_of: Bytes) -> None:
    alone, first, last, other, another = (make_learner(seed) for seed in (1, 1, 1, 2, 3))
    expected, _ = world.train(world.training({"a": alone}))
    with_one, _ = world.train(world.training({"a": first, "b": other}))
    with_two, _ = world.train(world.training({"c": another, "b": make_learner(2), "a": last}))
    assert bytes_of(first) == bytes_of(last) == bytes_of(alone)
    assert with_one["a"] == with_two["a"] == expected["a"]
    assert with_one["b"] == with_two["b"] != expected["a"]


def test_seed_decides_order_and_dropout(world: Any, make_learner: Make, bytes_of: Bytes) -> None:
    found = []
    for seed in (1, 1, 2):
        learner = make_learner(1)
        world.train(world.training({"a": learner}), seed=seed)
        found.append(bytes_of(learner))
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(("max_steps", "steps"), [(None, 12), (1, 1), (7, 7), (100, 12)])
def test_max_steps_ends_a_training_early(max_steps: int | None, steps: int, world: Any, make_learner: Make) -> None:
    config = TrainingConfig(epochs=2, learning_rate=0.05, batch_size=4, max_steps=max_steps)
    histories, speed = world.train(world.training({"a": make_learner(1)}), config=config)
    assert speed["steps"] == histories["a"].curve[-1]["step"] == steps


def test_the_incomplete_batch_can_be_dropped(world: Any, make_learner: Make) -> None:
    seen: list[int] = []
    lengths = world.training({}).plan.lengths
    plan = BatchPlan(lengths, 10, 7, drop_last=True)
    training = world.training({"a": make_learner(1)}, plan=plan)

    def noting(rows: np.ndarray, step: int) -> Any:
        seen.extend(len(rows) for _ in rows[:1])
        return training.read(rows, step)

    world.train(world.training({"a": make_learner(1)}, plan=plan, read=noting))
    assert seen == [10] * 4


def ragged_rows(rows: np.ndarray, _step: int) -> dict[str, torch.Tensor]:
    batch = equal_rows(rows, _step)
    return batch | {"attention_mask": torch.arange(5) < torch.from_numpy(1 + rows % 5)[:, None]}


@pytest.mark.parametrize("cut", [6, 1, 11])
@pytest.mark.parametrize("read", [equal_rows, ragged_rows])
def test_accumulated_batches_are_one_larger_batch(cut: int, read: Any, world: Any) -> None:
    """However unequal their rows and the batches themselves are."""
    large, small = Sum(), Sum()
    lengths = np.full(24, 5, np.int32)
    orders = [BatchPlan(lengths, 12, 7).epoch(epoch) for epoch in range(3)]

    class Parts:
        """The batches of the other plan, each cut in two."""

        def __len__(self) -> int:
            return 4

        def epoch(self, epoch: int) -> list[np.ndarray]:
            return [part for rows in orders[epoch] for part in (rows[:cut], rows[cut:])]

    # AdamW does not see the scale of a gradient; a limit just above its norm does.
    config = TrainingConfig(epochs=3, learning_rate=0.2, batch_size=12, max_grad_norm=0.3)
    whole = world.training({"a": large}, plan=BatchPlan(lengths, 12, 7), read=read, target=None)
    histories, _ = world.train(whole, config=config)
    parts = world.training({"a": small}, plan=Parts(), read=read, target=None)
    same, _ = world.train(parts, config=config.model_copy(update={"gradient_accumulation": 2}))
    torch.testing.assert_close(small.weight, large.weight)
    assert [p["loss"] for p in same["a"].curve] == pytest.approx([p["loss"] for p in histories["a"].curve])


@pytest.mark.parametrize("what", ["loss", "gradient norm"])
def test_what_is_not_finite_stops_the_training_and_is_named(what: str, world: Any, make_learner: Make) -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = make_learner(1)
            self.steps = 0

        def forward(self, batch: Any, target: Any, moment: Any) -> dict[str, torch.Tensor]:
            terms = self.inner(batch, target, moment)
            self.steps += 1
            if self.steps == 4:  # the gradient of a square root at 0 is infinite, its value is fine
                zero = self.inner.norm.weight[0] * 0
                terms["broken"] = zero / zero if what == "loss" else (zero**2).sqrt()
            return terms

    with pytest.raises(
        TrainingError,
        match=rf"{what} of 'student' is nan at step 3 on rows \d+, \d+.*; "
        r"the last good checkpoint is step-00000003: lower the learning_rate of this stage's training",
    ):
        world.train(world.training({"student": Broken()}), checkpoint_seconds=0)


def test_rows_that_carry_an_id_are_named_by_it(world: Any) -> None:
    class Broken(Sum):
        def forward(self, batch: dict[str, torch.Tensor], target: object, moment: Moment) -> dict[str, torch.Tensor]:
            return {name: term / 0 for name, term in super().forward(batch, target, moment).items()}

    def read(rows: np.ndarray, step: int) -> dict[str, torch.Tensor]:
        return equal_rows(rows, step) | {"row_id": torch.from_numpy(1000 + rows // 2)}

    training = world.training({"student": Broken()}, read=read, target=None)
    first = training.plan.epoch(0)[0]
    ids = ", ".join(str(number) for number in dict.fromkeys((1000 + first // 2).tolist()))
    with pytest.raises(TrainingError, match=rf"loss of 'student' is inf at step 0 on rows with row_id {ids};"):
        world.train(training)


def test_a_gradient_longer_than_the_limit_is_cut(world: Any) -> None:
    """With AdamW the first step is the same for any scale of the gradient, the second is not."""
    weights = []
    for limit in (1e-3, 1e3):
        learner = Sum()
        config = TrainingConfig(epochs=2, learning_rate=0.05, max_grad_norm=limit, warmup=0)
        training = world.training({"a": learner}, read=equal_rows, target=None)
        world.train(training, config=config)
        weights.append(learner.weight)
    assert not torch.allclose(*weights, atol=1e-4)


def test_dev_scores_are_taken_as_often_as_asked(world: Any, make_learner: Make) -> None:
    modes = []

    def score(learner: nn.Module) -> float:
        modes.append(learner.training)
        return 1.0

    for asked, steps in ((1, [6, 12]), (3, [2, 4, 6, 8, 10, 12]), (0.4, [12])):
        training = world.training({"a": make_learner(1)}, score=score, evaluations_per_epoch=asked)
        histories, _ = world.train(training)
        assert [step for step, _ in histories["a"].scores] == steps
        assert histories["a"].best == 1.0
    assert not any(modes)


def test_a_learner_that_is_partly_frozen(world: Any, make_learner: Make) -> None:
    learner = make_learner(1)
    learner.norm.requires_grad_(False)
    before = learner.embedding.weight.detach().clone()
    world.train(world.training({"a": learner}))
    assert torch.equal(learner.norm.weight, torch.ones(6))
    assert not torch.equal(learner.embedding.weight, before)


def test_it_says_that_it_was_resumed(world: Any, make_learner: Make, tmp_path: Path) -> None:
    notes: list[str] = []

    class Listening:
        def update(self, done: float, total: float | None, **fields: float | str) -> None:
            pass

        def note(self, message: str) -> None:
            notes.append(message)

    for _ in range(2):
        training = world.training({"a": make_learner(1)})
        world.train(training, tmp_path / "run", checkpoint_seconds=0, progress=Listening())
    assert notes == ["resumed at step 11 of 12"]


def test_the_learning_rate_of_each_step() -> None:
    def rates(schedule: str, warmup: float = 0.2) -> list[float]:
        return [learning_rate(step, 10, 1.0, warmup, schedule) for step in range(10)]

    assert rates("linear") == pytest.approx([0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])
    assert rates("constant") == pytest.approx([0.5, *[1.0] * 9])
    assert rates("cosine")[2] == pytest.approx(1)
    assert rates("cosine")[6] == pytest.approx(0.5)
    assert rates("linear", 0.0)[0] == 1.0
    assert rates("linear", 1.0) == pytest.approx([0.1 * n for n in range(1, 11)])
    for schedule in ("linear", "cosine"):
        falling = rates(schedule)[2:]
        assert falling == sorted(falling, reverse=True)
        assert falling[-1] > 0  # no step is spent on nothing
