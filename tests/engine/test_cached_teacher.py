"""A training that reads the teacher's features from disk is the training that computes them, to the last bit."""

import errno
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from reading import taps_of
from tiny_run import Notes

from pipeline.config.distillation import TRANSFORMER_LAYERS
from pipeline.config.models import StudentConfig
from pipeline.config.training import TrainingConfig
from pipeline.data.tokens.batches import BatchPlan
from pipeline.engine.guides.frozen import frozen_teacher
from pipeline.engine.objectives import TEACHER, build_learners, guide_taps
from pipeline.engine.teacher_cache.cached_teacher import DESCRIPTION, PROBES, CachedTeacher
from pipeline.engine.teacher_cache.layout import Column, Layout
from pipeline.features import EMBEDDING, Seen, Tap
from pipeline.training.loop import Training, train

Make = Callable[..., Any]
LENGTHS = np.random.default_rng(0).integers(2, 12, 45).astype(np.int32)
PLAN = BatchPlan(LENGTHS, 6, seed=3)
LAYOUT = Layout(
    tuple(Column(tap, (2, 8) if tap.what in ("query", "key") else (16,)) for tap in sorted(taps_of([1, 2, 4])))
)
SIZE = f"{LENGTHS.sum() * LAYOUT.width * 4 / 1e9:.3g} GB"
EPOCHS = 3
STEPS = EPOCHS * len(PLAN)


def read(rows: np.ndarray, _step: int = 0) -> dict[str, torch.Tensor]:
    width = int(LENGTHS[rows].max())
    ids = np.stack([np.random.default_rng(int(row)).integers(1, 40, 12) for row in rows])[:, :width]
    mask = np.arange(width) < LENGTHS[rows][:, None]
    types = np.zeros_like(ids)
    return {name: torch.from_numpy(a) for name, a in zip(
        ("input_ids", "attention_mask", "token_type_ids"), (ids * mask, mask, types), strict=True
    )}  # fmt: skip


class World:
    """Two students of one teacher; ``computed`` counts its passes."""

    def __init__(self, make_bert: Make, folder: Path) -> None:
        self.make_bert, self.folder, self.cache_dir = make_bert, folder, folder / "cache"
        self.computed, self.runs = 0, 0
        self.notes = Notes()

    def teacher(self) -> tuple[Any, dict[str, Any]]:
        configs = (
            StudentConfig(name="a", layers=2, hidden=12),
            StudentConfig(name="b", layers=2, hidden=8, layer_map=(1, 1)),
        )
        students = {
            "a": self.make_bert("encoder", 1, hidden_dropout_prob=0.1),
            "b": self.make_bert("encoder", 2, hidden_size=8),
        }
        teacher = self.make_bert("encoder", 3, num_hidden_layers=4, hidden_size=16)
        made = build_learners(configs, students, teacher.config, TRANSFORMER_LAYERS, seed=0)
        computed = frozen_teacher(teacher, guide_taps(made), torch.device("cpu"))

        def counted(batch: Any) -> Seen:
            self.computed += 1
            return computed(batch)

        return counted, made

    def store(self, teacher: Any, **changed: Any) -> CachedTeacher:
        options = {"cache_dir": self.cache_dir, "key": "key", "passes": EPOCHS, "budget": 1e9, "progress": self.notes}
        return CachedTeacher(teacher, PLAN, **(options | changed))

    def decided(self) -> Path:
        """A store that an earlier run decided for, still empty."""
        (self.cache_dir / "key").mkdir(parents=True)
        told = {"columns": LAYOUT.to_json()}
        (self.cache_dir / "key" / DESCRIPTION).write_text(json.dumps(told))
        return self.cache_dir / "key"

    def train(self, *, stored: bool = True, rate: float = 0.01, folder: Path | None = None, **options: Any) -> Any:
        """Loss curves and final bytes of both students."""
        self.computed, self.runs = 0, self.runs + 1
        teacher, learners = self.teacher()
        show = self.store(teacher) if stored else lambda batch, _rows: teacher(batch)
        histories, _ = train(
            Training(learners, PLAN, read, lambda batch, rows: {TEACHER: show(batch, rows)}),
            TrainingConfig(epochs=EPOCHS, learning_rate=rate, batch_size=6),
            seed=5,
            accelerator=Accelerator(cpu=True),
            checkpoints=folder or self.folder / f"run-{self.runs}",
            **({"checkpoint_seconds": 1e9, "checkpoint_share": 1.0, "progress": self.notes} | options),
        )
        return {name: (history.curve, weights(learners[name])) for name, history in histories.items()}


def weights(module: torch.nn.Module) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in module.state_dict().items()}


def by_token(seen: Seen, tap: Tap) -> torch.Tensor:
    """(batch, length, ...), also of a query or key."""
    return seen[tap].transpose(1, 2) if tap.what in ("query", "key") else seen[tap]


def same(a: Seen, b: Seen, mask: torch.Tensor) -> bool:
    """Equal at real tokens, to the last bit."""
    return set(a) == set(b) and all(torch.equal(by_token(a, tap)[mask], by_token(b, tap)[mask]) for tap in a)


@pytest.fixture
def world(make_bert: Make, tmp_path: Path) -> World:
    return World(make_bert, tmp_path)


def test_features_come_back_as_they_were_with_zeros_for_padding(world: World) -> None:
    teacher, _ = world.teacher()
    batch = read(PLAN.batches[3])
    mask = batch["attention_mask"]
    assert not mask.all()
    features = teacher(batch)
    assert Layout.of(features) == LAYOUT
    found = LAYOUT.unpack(LAYOUT.pack(features, mask), mask)
    assert same(found, features, mask)
    assert not any(by_token(found, tap)[~mask].any() for tap in found)
    assert EMBEDDING in found
    for tap in found:
        assert found[tap].stride() == features[tap].stride()


def test_storing_changes_nothing_and_the_teacher_runs_once_for_each_batch(world: World) -> None:
    expected = world.train(stored=False)
    assert world.computed == STEPS
    world.decided()
    assert world.train() == expected
    assert world.computed == len(PLAN)
    assert world.train() == expected
    assert world.computed == 0
    assert world.notes.lines[-1].endswith(f"100% of {SIZE} are there")


def test_another_learning_rate_reads_what_is_there(world: World) -> None:
    world.decided()
    world.train()
    other = world.train(rate=0.03)
    assert world.computed == 0
    assert other == world.train(rate=0.03, stored=False)


def test_a_training_that_was_killed_goes_on_with_what_is_there(world: World) -> None:
    expected = world.train(stored=False)
    world.decided()

    class Death(Notes):
        def update(self, done: float, *_: Any, **__: Any) -> None:
            if done == 5:
                raise KeyboardInterrupt

    checkpoints = world.folder / "checkpoints"
    with pytest.raises(KeyboardInterrupt):
        world.train(folder=checkpoints, checkpoint_seconds=1e-9, progress=Death())
    assert 5 <= world.computed <= 6
    before = world.computed
    assert world.train(folder=checkpoints) == expected
    assert world.computed <= len(PLAN) - before + 1


def spoil_byte(folder: Path) -> None:
    shard = folder / "shard-00000.f32"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)


def spoil_end(folder: Path) -> None:
    shard = folder / "shard-00000.f32"
    os.truncate(shard, shard.stat().st_size - 1)


def spoil_checksums(folder: Path) -> None:
    (folder / "checksums").write_bytes(b"none")


@pytest.mark.parametrize(
    ("spoil", "again"),
    [(spoil_byte, 1), (spoil_end, 1), (spoil_checksums, len(PLAN))],
)
def test_what_is_spoiled_is_computed_and_stored_again(spoil: Any, again: int, world: World) -> None:
    expected = world.train(stored=False)
    folder = world.decided()
    world.train()
    spoil(folder)
    assert world.train() == expected
    assert world.computed == again
    world.train()
    assert world.computed == 0


def test_a_full_disk_gets_its_space_back_and_the_training_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = world.train(stored=False)
    folder, write, calls = world.decided(), os.pwrite, []

    def full(*args: Any) -> int:
        calls.append(args)
        if len(calls) > 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(*args)

    monkeypatch.setattr(os, "pwrite", full)
    assert world.train() == expected
    assert world.computed == STEPS
    assert not folder.exists()
    assert [line for line in world.notes.lines if "stored any more (No space left on device)" in line]
    assert len(calls) == 7


def test_a_store_that_is_deleted_in_use_costs_time_only(world: World) -> None:
    expected = world.train(stored=False)
    folder = world.decided()

    class Sweep(Notes):
        def update(self, done: float, *_: Any, **__: Any) -> None:
            if done == len(PLAN) + 2:
                shutil.rmtree(folder)

    assert world.train(progress=Sweep()) == expected
    assert world.computed == STEPS - 2  # of the second epoch two batches were read


def test_it_is_decided_after_a_few_batches_by_the_clock(world: World) -> None:
    teacher, _ = world.teacher()

    def slow(batch: Any) -> Seen:
        time.sleep(0.02)
        return teacher(batch)

    store = world.store(slow, passes=1e4)
    for number, rows in enumerate(PLAN.epoch(0)):
        assert bool(world.notes.lines) == (number >= PROBES)
        store(read(rows), rows)
    assert store.record()["stored"]
    assert "GB of 1 GB, saves about 1e+04 x" in store.record()["reason"]
    for rows in PLAN.epoch(1):
        batch = read(rows)
        assert same(store(batch, rows), teacher(batch), batch["attention_mask"])
    assert store.record()["batches"] == {"computed": len(PLAN), "read": len(PLAN) + PROBES, "written": len(PLAN)}
    assert store.record()["bytes"] > PLAN.lengths.sum() * LAYOUT.width * 4


def test_a_teacher_faster_than_the_disk_is_asked_again(world: World) -> None:
    teacher, _ = world.teacher()
    rows = PLAN.batches[0]
    one = BatchPlan(LENGTHS[rows], len(rows), seed=0)
    ready = teacher(read(rows))
    store = CachedTeacher(
        lambda _: ready, one, cache_dir=world.cache_dir, key="key", passes=3, budget=1e9, progress=world.notes
    )
    for epoch in range(3):
        (places,) = one.epoch(epoch)
        assert store(read(rows[places]), places) is ready
    assert not store.record()["stored"]
    assert "a pass takes" in store.record()["reason"]
    assert not (world.cache_dir / "key").exists()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"passes": 1}, "there is one pass over the rows only"),
        ({"budget": 0}, "runtime.teacher_store_gb is 0"),
        ({"budget": 1000}, f"{SIZE} do not fit the 1e-06 GB of runtime.teacher_store_gb"),
        ({"disabled_reason": "the moon is full"}, "the moon is full"),
    ],
)
def test_nothing_is_written_where_it_cannot_pay(options: dict[str, Any], why: str, world: World) -> None:
    teacher, _ = world.teacher()
    store = world.store(teacher, **options)
    for epoch in range(2):
        for rows in PLAN.epoch(epoch):
            store(read(rows), rows)
    assert world.computed == 2 * len(PLAN)
    assert store.record()["reason"] == f"teacher features recomputed: {why}"
    assert world.notes.lines == ([] if "passes" in options else [store.record()["reason"]])
    assert not world.cache_dir.exists()


def test_a_store_larger_than_the_budget_is_not_read(world: World) -> None:
    world.decided()
    world.train()
    teacher, _ = world.teacher()
    store = world.store(teacher, budget=1000)
    world.computed = 0
    store(read(PLAN.batches[0]), PLAN.batches[0])
    assert world.computed == 1


def test_other_rows_or_inputs_are_never_taken_for_those_stored(world: World) -> None:
    world.decided()
    world.train()
    teacher, _ = world.teacher()
    store = world.store(teacher)
    rows = PLAN.batches[2]
    for batch, asked in (
        (read(rows[:-1]), rows[:-1]),  # a part of a batch
        (read(rows[::-1]), rows[::-1]),  # another order
        (read(rows) | {"input_ids": read(rows)["input_ids"] + 1}, rows),  # other words
    ):
        assert same(store(batch, asked), teacher(batch), batch["attention_mask"])
    batch = read(rows)
    assert same(store(batch, rows), teacher(batch), batch["attention_mask"])
