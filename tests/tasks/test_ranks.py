"""Which stages the followers are called to, and what becomes of theirs."""

from pathlib import Path

import pytest
from tiny_run import tiny

from pipeline.errors import ConfigError
from tasks.ranks import announcer, leading

TRAINING = {"general_distillation", "teacher", "intermediate", "prediction", "label_only"}


def test_the_stages_that_train_are_those_that_several_processes_share(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    assert {stage.name for stage in run.stages() if stage.parallel} == TRAINING
    ready = run.stages("teacher.finetune=null")
    assert {stage.name for stage in ready if stage.parallel} == TRAINING - {"teacher"}


def test_alone_nobody_is_called(tmp_path: Path) -> None:
    assert {announcer(stage) for stage in tiny(tmp_path).stages()} == {None}


def test_a_leader_without_followers_lets_mistakes_through() -> None:
    with pytest.raises(ConfigError, match="as it was"), leading():
        raise ConfigError("as it was")
    with leading():
        pass
