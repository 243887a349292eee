"""A run whose teacher is a step ahead, killed twice in each distillation, ends with the same students."""

from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
import torch
from tiny_run import Notes, Tiny, tiny

from pipeline.stages.two_stage import two_stage
from pipeline.store.materialize import materialize

OPTIONS = (
    "runtime.num_threads=null",
    "runtime.teacher_store=always",
    "general_distillation.training.epochs=3",
    "phases.intermediate.training.epochs=3",
)
DISTILLED = ("general_distillation", "intermediate")


class Death(Notes):
    """Ends the training at a step, as Ctrl-C does."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def update(self, done: float, total: float | None, **fields: float | str) -> None:
        super().update(done, total, **fields)
        if done == self.at:
            raise KeyboardInterrupt


@pytest.fixture
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def killed_twice(run: Tiny) -> None:
    config = run.config(*OPTIONS)
    with chdir(run.folder):
        for stage in two_stage(config):
            for step in (5, 11) if stage.name in DISTILLED else ():
                with pytest.raises(KeyboardInterrupt):
                    materialize(stage, run.store, config.runtime, Death(step))
            materialize(stage, run.store, config.runtime, run.notes)


@pytest.mark.slow
@pytest.mark.usefixtures("_two_threads")
def test_killed_and_resumed_it_ends_with_the_same_students(tmp_path: Path) -> None:
    whole, killed = tiny(tmp_path / "whole"), tiny(tmp_path / "killed")
    whole.run(*OPTIONS)
    for stage in DISTILLED:
        assert whole.artifact(stage).metrics["training_speed"]["teacher_ahead"]
        assert whole.artifact(stage).metrics["teacher_store"]["stored"]
    killed_twice(killed)
    assert sum("resumed at step 10" in line for line in killed.notes.lines) == len(DISTILLED)
    assert killed.students() == whole.students()
