"""An artifact of another run takes a stage's place: what only that stage needed is left out, the rest builds on it."""

from contextlib import chdir
from pathlib import Path

import pytest
from tiny_run import tiny

from pipeline.errors import ConfigError, DataError, ModelError, StoreError

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
        for name in ("report", "evaluation", "task_data", "prediction", "teacher_logits", "no_such_stage"):
            with pytest.raises(
                ConfigError, match=f"use.{name} names no stage that an artifact can stand for in this run"
            ):
                run.stages(f"use.{name}={name}")
        with pytest.raises(StoreError, match="teacher"):
            run.stages("use.teacher=teacher/v0009")
        with pytest.raises(ConfigError, match="which has no student 'other': name one that has"):
            run.stages("use.general_distillation=general_distillation", "students.0.name=other")


@pytest.mark.slow
def test_artifacts_of_another_task_are_refused(tmp_path: Path) -> None:
    """The same rows with a class renamed: the labels' order moves, and with it what the teacher's logits mean."""
    run = tiny(tmp_path, finished=True)
    for file in ("train.csv", "dev.csv"):
        path = run.folder / file
        path.write_text(path.read_text("utf-8").replace(",animal", ",z-animal"), "utf-8")
    with pytest.raises(ModelError, match=r"labels are animal, city, food, those of the task are city, food, z-animal"):
        run.run("use.teacher=teacher")
    with pytest.raises(
        DataError, match=r"the candidates was made from task_data/v0001-\w+, whose rows are not those of"
    ):
        run.run("use.candidates=candidates/v0001", until="augmentation")
    with pytest.raises(DataError, match=r"the augmentation was made from task_data/v0001"):
        run.run("use.augmentation=augmentation/v0001", until="teacher_logits")


def test_a_damaged_artifact_is_named(tmp_path: Path) -> None:
    run = tiny(tmp_path, finished=True)
    weights = run.path("teacher") / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(StoreError, match=r"teacher/v0001-\w+ is damaged or gone"):
        run.run("use.teacher=teacher", "teacher.finetune.epochs=9", until="teacher")
