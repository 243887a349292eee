"""Killed at any step and started again, a training ends with the same weights, bit for bit."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pipeline.config.training import TrainingConfig
from pipeline.training.checkpoint import latest_checkpoint

STEPS = 12  # 24 rows in batches of 4, two epochs
Make = Callable[..., nn.Module]
Bytes = Callable[[nn.Module], dict[str, bytes]]


class KilledError(Exception):
    pass


def kill_at(read: Any, step: int) -> Any:
    def until(rows: Any, at: int) -> Any:
        if at >= step:
            raise KilledError
        return read(rows, at)

    return until


def score(learner: Any) -> float:
    """Draws random numbers, as a careless score would, and is best in the middle of the training."""
    torch.rand(3)
    return -abs(learner.embedding.weight.norm().item() - 14.0)


def family(make: Make) -> dict[str, nn.Module]:
    return {"first": make(1), "second": make(2, dropout=0.5)}


@pytest.mark.parametrize("killed_at", range(1, STEPS))
def test_a_killed_training_ends_with_the_same_weights_and_curves(
    killed_at: int, world: Any, make_learner: Make, bytes_of: Bytes, tmp_path: Path
) -> None:
    whole, cut, again = (family(make_learner) for _ in range(3))
    expected, _ = world.train(world.training(whole, score=score, evaluations_per_epoch=3))
    broken = world.training(cut, score=score, evaluations_per_epoch=3)
    with pytest.raises(KilledError):
        world.train(
            world.training(cut, score=score, evaluations_per_epoch=3, read=kill_at(broken.read, killed_at)),
            tmp_path / "killed",
            checkpoint_seconds=0,
        )
    found = latest_checkpoint(tmp_path / "killed")
    assert found is not None
    assert found[1]["step"] == killed_at
    torch.manual_seed(killed_at)  # what the generator does between the two attempts is of no account
    torch.rand(1)
    histories, _ = world.train(world.training(again, score=score, evaluations_per_epoch=3), tmp_path / "killed")
    for name in whole:
        assert bytes_of(again[name]) == bytes_of(whole[name])
    assert histories == expected


PER_EPOCH = STEPS // 2
EDGES = {  # what is interrupted, and the step whose checkpoint is then the last: as far as it was whole
    "the first step of all": ("read", 0, None),
    "an epoch's last step": ("read", PER_EPOCH - 1, PER_EPOCH - 1),
    "the next one's first": ("read", PER_EPOCH, PER_EPOCH),
    "the score at an epoch's end": ("score", PER_EPOCH, None),
    "the step after a score": ("read", PER_EPOCH // 2, PER_EPOCH // 2),
    "the last score": ("score", STEPS, None),
}


@pytest.mark.parametrize("stop", [KeyboardInterrupt, KilledError], ids=["told to end", "killed"])
@pytest.mark.parametrize("edge", EDGES.values(), ids=EDGES)
def test_a_training_that_stops_at_an_edge_ends_with_the_same_weights_and_curves(
    edge: tuple[str, int, int | None],
    stop: type[BaseException],
    world: Any,
    make_learner: Make,
    bytes_of: Bytes,
    tmp_path: Path,
) -> None:
    """Checkpoints are due at epochs' ends alone, where a score is due as well, or are left by who tells it to end."""
    part, at, left = edge
    whole, cut, again = (make_learner(1, dropout=0.5) for _ in range(3))
    plain = world.training({"a": whole}, score=score, evaluations_per_epoch=2)
    expected, _ = world.train(plain)
    scored = 0

    def read(rows: Any, step: int) -> Any:
        if part == "read" and step == at:
            raise stop
        return plain.read(rows, step)

    def scoring(learner: Any) -> float:
        nonlocal scored
        scored += PER_EPOCH // 2
        if part == "score" and scored == at:
            raise stop
        return score(learner)

    with pytest.raises(stop):
        world.train(world.training({"a": cut}, score=scoring, evaluations_per_epoch=2, read=read), tmp_path / "stopped")
    found = latest_checkpoint(tmp_path / "stopped")
    told_to = left if stop is KeyboardInterrupt else None
    assert (found and found[1]["step"]) == told_to
    histories, _ = world.train(world.training({"a": again}, score=score, evaluations_per_epoch=2), tmp_path / "stopped")
    assert bytes_of(again) == bytes_of(whole)
    assert histories == expected


@pytest.mark.parametrize("kept", [PER_EPOCH - 1, PER_EPOCH, PER_EPOCH + 1, STEPS - 1, STEPS])
def test_a_training_goes_on_from_a_checkpoint_on_either_side_of_an_edge(
    kept: int, world: Any, make_learner: Make, bytes_of: Bytes, tmp_path: Path
) -> None:
    """Each of the checkpoints around an epoch's end, where a score is due, is a place to go on from."""
    folder = tmp_path / "kept"
    whole, again = make_learner(1, dropout=0.5), make_learner(1, dropout=0.5)
    plain = world.training({"a": whole}, score=score)

    def read(rows: Any, step: int) -> Any:
        if step == kept:
            raise KilledError
        return plain.read(rows, step)

    cut = {"a": make_learner(1, dropout=0.5)}
    if kept < STEPS:
        with pytest.raises(KilledError):
            world.train(world.training(cut, score=score, read=read), folder, checkpoint_seconds=0)
    else:
        world.train(world.training(cut, score=score), folder, keep_end=True)
    found = latest_checkpoint(folder)
    assert found is not None
    assert found[1]["step"] == kept
    expected, _ = world.train(plain)
    histories, _ = world.train(world.training({"a": again}, score=score), folder)
    assert bytes_of(again) == bytes_of(whole)
    assert histories == expected


def test_the_best_weights_are_not_the_last(world: Any, make_learner: Make, bytes_of: Bytes) -> None:
    """Otherwise the test above could not tell whether the best weights survive a kill."""
    scored, last = make_learner(1), make_learner(1)
    histories, _ = world.train(world.training({"a": scored}, score=score, evaluations_per_epoch=3))
    world.train(world.training({"a": last}))
    history = histories["a"]
    assert history.best == max(value for _, value in history.scores) != history.scores[-1][1]
    assert score(scored) == history.best
    assert bytes_of(scored) != bytes_of(last)


@pytest.mark.parametrize("killed_at", [1, 2, 4, 5, 7])
def test_with_accumulation_a_step_is_taken_whole_or_not_at_all(
    killed_at: int, world: Any, make_learner: Make, bytes_of: Bytes, tmp_path: Path
) -> None:
    config = TrainingConfig(epochs=2, learning_rate=0.05, batch_size=4, gradient_accumulation=4)  # 4 + 2 batches
    whole, cut, again = (make_learner(1) for _ in range(3))
    expected, _ = world.train(world.training({"a": whole}), config=config)
    training = world.training({"a": cut})
    with pytest.raises(KilledError):
        world.train(
            world.training({"a": cut}, read=kill_at(training.read, killed_at)),
            tmp_path / "killed",
            config=config,
            checkpoint_seconds=0,
        )
    histories, _ = world.train(world.training({"a": again}), tmp_path / "killed", config=config)
    assert bytes_of(again) == bytes_of(whole)
    assert histories == expected


def test_a_long_training_is_checkpointed_between_two_points_of_its_curve(
    world: Any, make_learner: Make, bytes_of: Bytes, tmp_path: Path
) -> None:
    config = TrainingConfig(epochs=70, learning_rate=0.01, batch_size=4)  # 420 steps: one point in two
    whole, cut, again = (make_learner(1) for _ in range(3))
    expected, _ = world.train(world.training({"a": whole}), config=config)
    training = world.training({"a": cut})
    with pytest.raises(KilledError):
        world.train(
            world.training({"a": cut}, read=kill_at(training.read, 31)),
            tmp_path / "killed",
            config=config,
            checkpoint_seconds=0,
        )
    found = latest_checkpoint(tmp_path / "killed")
    assert found is not None
    assert found[1]["step"] == 31
    histories, _ = world.train(world.training({"a": again}), tmp_path / "killed", config=config)
    assert bytes_of(again) == bytes_of(whole)
    assert histories == expected


SCRIPT = """
import sys, time, torch
from pathlib import Path
sys.path.insert(0, {folder!r})
torch.set_num_threads(1)
from conftest import Learner, World, weights
world, learner = World(Path({store!r})), Learner(1)
training = world.training({{"a": learner}})
def slowly(rows, step, read=training.read):
    time.sleep({pause})
    return read(rows, step)
world.train(world.training({{"a": learner}}, read=slowly), Path({store!r}) / "run", checkpoint_seconds=0)
for name, content in sorted(weights(learner).items()):
    print(name, content.hex())
"""


def test_a_process_killed_for_good_goes_on(tmp_path: Path) -> None:
    def script(store: str, pause: float) -> list[str]:
        folder = str(Path(__file__).parent)
        return [
            sys.executable,
            "-c",
            SCRIPT.format(folder=folder, store=str(tmp_path / store), pause=pause),
        ]

    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}

    def run(store: str) -> str:
        return subprocess.run(
            script(store, 0.0), check=True, capture_output=True, text=True, env=environment, cwd=root
        ).stdout

    process = subprocess.Popen(script("killed", 0.2), env=environment, cwd=root, stdout=subprocess.DEVNULL)
    while process.poll() is None and not list((tmp_path / "killed" / "run").glob("step-0000000[3-9]")):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert run("killed") == run("whole")
