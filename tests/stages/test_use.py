"""An artifact of another run takes a stage's place: what only that stage needed is left out, the rest builds on it."""

from contextlib import chdir
from pathlib import Path

import pytest
from tiny_run import tiny

from pipeline.errors import ConfigError, StoreError

OTHER = ("teacher.finetune.epochs=2", "phases.*.training.max_steps=2", "evaluation.tfidf=false")


@pytest.mark.slow
def test_another_run_s_teacher_teaches(tmp_path: Path) -> None:
    run = tiny(tmp_path, finished=True)
    before = run.artifact("teacher")
    done = run.run(*OTHER, "use.teacher=teacher/v0001")
    assert done["teacher"].artifact.ref == before.ref
    reused = {name for name, outcome in done.items() if outcome.state == "reused"}
    assert reused >= {"corpus", "teacher", "teacher_logits"}
    assert done["intermediate"].artifact.manifest.inputs["teacher"].ref == before.ref
    assert run.versions()["teacher"] == [1]  # its own, of two epochs, was never made


def test_what_only_the_stage_needed_is_left_out(tmp_path: Path) -> None:
    run = tiny(tmp_path, finished=True)
    plan = run.plan("use.augmentation=augmentation", "augmentation.candidates=7")
    assert "candidates" not in plan
    assert plan["augmentation"].action == "reuse"
    assert plan["prediction"].action == "reuse"  # the same artifact, by another way


def test_what_cannot_stand_for_a_stage_is_refused(tmp_path: Path) -> None:
    run = tiny(tmp_path, finished=True)
    with chdir(run.folder):
        with pytest.raises(ConfigError, match=r"use.teacher is 'corpus', an artifact of corpus: name one of teacher"):
            run.stages("use.teacher=corpus")
        with pytest.raises(ConfigError, match=r"use.report names no stage of this run that an artifact can stand for"):
            run.stages("use.report=report")
        with pytest.raises(StoreError, match="teacher"):
            run.stages("use.teacher=teacher/v0009")
