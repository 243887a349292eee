from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.base import Config
from pipeline.config.runtime import Runtime
from pipeline.store.materialize import Outcome, materialize
from pipeline.store.source import Source
from pipeline.store.stage import Stage, StageRun, ancestors
from pipeline.store.store import Store


class Training(Config):
    learning_rate: float = 0.001


class Settings(Config):
    text: str = "hello"
    seed: int = 7
    training: Training = Training()


class Notes:
    """Progress that remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def update(self, done: float, total: float | None, **fields: float | str) -> None:
        pass

    def note(self, message: str) -> None:
        self.lines.append(message)


class House:
    """A store, a way to make stages for it, and the names of the stages that ran."""

    def __init__(self, root: Path) -> None:
        self.store = Store(root)
        self.ran: list[str] = []
        self.notes = Notes()

    def stage(
        self,
        name: str,
        config: Config | None = None,
        version: int = 1,
        run: Callable[[Any, StageRun], None] | None = None,
        **inputs: Stage[Any] | Source,
    ) -> Stage[Any]:
        def write(config: Settings, given: StageRun) -> None:
            (given.output / "deep").mkdir()
            (given.output / "deep" / "model.txt").write_text(f"{config.text} from {sorted(given.inputs)}")
            given.record(accuracy=0.5, per_length={"short": 1, "long": None})

        def counted(config: Any, given: StageRun) -> None:
            self.ran.append(name)
            (run or write)(config, given)

        return Stage(name, version, config or Settings(), inputs, counted)

    def run(self, stage: Stage[Any]) -> Outcome:
        return materialize(stage, self.store, Runtime(), self.notes)

    def run_all(self, stage: Stage[Any]) -> Mapping[str, Outcome]:
        return {step.name: self.run(step) for step in [*ancestors(stage), stage]}


@pytest.fixture
def house(tmp_path):
    return House(tmp_path / "artifacts")
