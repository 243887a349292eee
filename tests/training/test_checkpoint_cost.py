"""What checkpoints may cost: an interval where they are cheap, a share of the time where they are not."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from pipeline.config.runtime import Runtime
from pipeline.config.training import TrainingConfig
from pipeline.training.checkpoint import latest_checkpoint
from pipeline.training.state import State

Make = Callable[..., nn.Module]
STEPS = 300
STEP_SECONDS = 10.0
LONG = TrainingConfig(epochs=50, learning_rate=0.01, batch_size=4)


class Hours:
    """A clock on which a step takes ten seconds and a checkpoint as long as one likes."""

    def __init__(self, save_seconds: float, monkeypatch: pytest.MonkeyPatch, *, writes: bool = False) -> None:
        self.now, self.saves = 0.0, list[int]()
        self._writes = writes
        self.save_seconds = save_seconds
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(State, "save", self._saver(State.save))

    def slow(self, learner: nn.Module) -> nn.Module:
        """The learner, whose passes take their time."""

        def tick(*_: Any) -> None:
            self.now += STEP_SECONDS

        learner.register_forward_pre_hook(tick)
        return learner

    def _saver(self, save: Any) -> Any:
        def saves(state: State, folder: Path) -> None:
            self.saves.append(state.step)
            self.now += self.save_seconds
            if self._writes:
                save(state, folder)

        return saves


def train(hours: Hours, world: Any, make: Make, folder: Path, **options: Any) -> float:
    """Seconds that the training took on that clock."""
    world.train(
        world.training({"a": hours.slow(make(1))}),
        folder,
        config=LONG,
        **({"checkpoint_seconds": 60.0, "checkpoint_share": Runtime().checkpoint_share} | options),
    )
    return hours.now


@pytest.mark.parametrize("save_seconds", [3.0, 30.0, 120.0])
def test_checkpoints_take_no_more_than_their_share(
    save_seconds: float, world: Any, make_learner: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = Hours(save_seconds, monkeypatch)
    whole = train(hours, world, make_learner, tmp_path)
    spent = (len(hours.saves) - 1) * save_seconds  # how long one takes is known after the first
    assert len(hours.saves) > 1
    assert spent <= 0.05 * whole
    assert spent > 0.02 * whole  # nor much less often than it may


def test_the_first_checkpoint_of_a_large_model_waits_until_it_may_cost_what_a_slow_disk_takes(
    world: Any, make_learner: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(State, "size", 1_000_000_000)  # ten seconds
    hours = Hours(10.0, monkeypatch)
    whole = train(hours, world, make_learner, tmp_path)
    assert hours.saves[0] == 10 * 19 / STEP_SECONDS + 1  # the first step past it
    assert len(hours.saves) * 10.0 <= 0.05 * whole


def test_the_size_of_a_checkpoint_is_known_before_it_is_written(
    world: Any, make_learner: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[int, int]] = []
    save = State.save

    def weighs(state: State, folder: Path) -> None:
        save(state, folder)
        found = latest_checkpoint(folder)
        assert found is not None
        sizes.append((state.size, sum(tensor.nbytes for tensor in found[0].values())))

    monkeypatch.setattr(State, "save", weighs)
    world.train(
        world.training({"a": make_learner(1)}, score=lambda _: 1.0), tmp_path, checkpoint_seconds=1e-9, keep_end=True
    )
    assert sizes
    assert all(0.9 * written < size <= written for size, written in sizes), sizes


def test_cheap_checkpoints_come_at_their_interval(
    world: Any, make_learner: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = Hours(0.0, monkeypatch)
    train(hours, world, make_learner, tmp_path)
    gaps = {later - earlier for earlier, later in zip(hours.saves, hours.saves[1:], strict=False)}
    assert gaps == {7}  # the first step past a minute


def test_a_save_that_gets_slower_makes_the_next_ones_rarer(
    world: Any, make_learner: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = Hours(1.0, monkeypatch)
    save = State.save

    def slower(state: State, folder: Path) -> None:
        hours.save_seconds = 100.0 if state.step > 60 else 1.0
        save(state, folder)

    monkeypatch.setattr(State, "save", slower)
    train(hours, world, make_learner, tmp_path)
    gaps = [later - earlier for earlier, later in zip(hours.saves, hours.saves[1:], strict=False)]
    assert min(gaps) < 10
    assert max(gaps) >= 100 * 19 / STEP_SECONDS


def test_the_last_two_are_kept_and_the_end_only_where_it_is_asked_for(
    world: Any, make_learner: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = Hours(0.0, monkeypatch, writes=True)
    train(hours, world, make_learner, tmp_path / "usual", checkpoint_seconds=800.0)
    assert [int(path.name[5:]) for path in sorted((tmp_path / "usual").iterdir())] == hours.saves[-2:]
    assert hours.saves[-1] < STEPS
    train(hours, world, make_learner, tmp_path / "kept", checkpoint_seconds=800.0, keep_end=True)
    found = latest_checkpoint(tmp_path / "kept")
    assert found is not None
    assert found[1]["step"] == STEPS
    assert len([*(tmp_path / "kept").iterdir()]) == 2


def test_a_training_that_had_ended_is_not_trained_again(
    world: Any, make_learner: Make, bytes_of: Any, tmp_path: Path
) -> None:
    first, again = make_learner(1), make_learner(1)
    histories, _ = world.train(world.training({"a": first}), tmp_path, keep_end=True)

    def read(*_: Any) -> Any:
        raise AssertionError("nothing is left to be read")

    repeated, _ = world.train(world.training({"a": again}, read=read), tmp_path, keep_end=True)
    assert repeated == histories
    assert bytes_of(again) == bytes_of(first)


class StopError(BaseException):
    pass


@pytest.mark.parametrize("moment", ["read", "forward", "score"])
def test_a_training_told_to_stop_ends_with_the_same_bytes_when_it_goes_on(
    moment: str, world: Any, make_learner: Make, bytes_of: Any, tmp_path: Path
) -> None:
    """The learner counts its forward passes: one that is interrupted must not count."""
    whole, cut, again = (make_learner(1) for _ in range(3))

    def score(learner: Any) -> float:
        return -abs(learner.embedding.weight.norm().item() - 14.0)

    def training(learner: nn.Module, **changed: Any) -> Any:
        return world.training({"a": learner}, **({"score": score, "evaluations_per_epoch": 3} | changed))

    expected, _ = world.train(training(whole))
    plain = training(cut)
    calls = iter(range(5))

    def stop() -> None:
        if next(calls, None) == 4:
            raise StopError

    def read(rows: Any, step: int) -> Any:
        stop()
        return plain.read(rows, step)

    def scores(learner: Any) -> float:
        stop()
        return score(learner)

    broken = {
        "read": lambda: training(cut, read=read),
        "forward": lambda: plain,
        "score": lambda: training(cut, score=scores),
    }[moment]()
    if moment == "forward":
        cut.output.register_forward_hook(lambda *_: stop())
    with pytest.raises(StopError):
        world.train(broken, tmp_path, checkpoint_seconds=1e9)
    found = latest_checkpoint(tmp_path)
    # At a score the weights are already those of the next step.
    assert (found and found[1]["step"]) == (None if moment == "score" else 4)
    histories, _ = world.train(training(again), tmp_path)
    assert bytes_of(again) == bytes_of(whole)
    assert histories == expected
