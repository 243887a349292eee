from pipeline.config.base import Config
from pipeline.store.materialize import plan
from pipeline.store.source import Source
from pipeline.store.stage import ancestors


class Training(Config):
    learning_rate: float = 0.001
    epochs: int = 3


class Settings(Config):
    text: str = "hello"
    training: Training = Training()


def stages(house, text="x", rate=0.001, version=1, source=None):
    corpus = house.stage("corpus", Settings(text=text), text=source or Source(identity="text 1"))
    teacher = house.stage(
        "teacher", Settings(training=Training(learning_rate=rate)), version, hub=Source(identity="hub:a")
    )
    return house.stage("student", Settings(), corpus=corpus, teacher=teacher)


def said(house, stage):
    return {
        step.name: (reason.action, *reason.reasons) for step, reason in plan([*ancestors(stage), stage], house.store)
    }


def test_nothing_is_there_yet(house):
    assert said(house, stages(house)) == {
        "corpus": ("run", "no artifact yet"),
        "teacher": ("run", "no artifact yet"),
        "student": ("run", "no artifact yet"),
    }
    assert house.ran == []


def test_one_key_reruns_exactly_what_depends_on_it_and_the_plan_says_so(house):
    house.run_all(stages(house))
    changed = stages(house, rate=0.002)
    assert said(house, changed) == {
        "corpus": ("reuse",),
        "teacher": ("run", "configuration: training.learning_rate 0.001 -> 0.002"),
        "student": ("run", "input: teacher will be rebuilt"),
    }
    house.ran.clear()
    house.run_all(changed)
    assert house.ran == ["teacher", "student"]
    assert set(said(house, changed).values()) == {("reuse",)}
    assert set(said(house, stages(house)).values()) == {("reuse",)}


def test_the_nearest_artifact_is_compared(house):
    house.run_all(stages(house))
    house.run_all(stages(house, rate=0.002, version=2))
    reasons = said(house, stages(house, rate=0.003, version=2))["teacher"]
    assert reasons == ("run", "configuration: training.learning_rate 0.002 -> 0.003")


def test_code_version_and_inputs_are_named(house, tmp_path):
    house.run_all(stages(house))
    assert said(house, stages(house, version=2))["teacher"] == ("run", "code version 1 -> 2")
    other = stages(house, source=Source(identity="text 2"))
    assert said(house, other)["corpus"] == ("run", "input: text text 1 -> text 2")
    (tmp_path / "text.txt").write_text("x")
    file = stages(house, source=Source((str(tmp_path / "text.txt"),)))
    assert said(house, file)["corpus"] == ("run", "input: text changed")
    more = house.stage("corpus", Settings(text="x"), more=Source(identity="m"))
    assert plan([more], house.store)[0][1].reasons == ("input: more added", "input: text removed")


def test_an_upstream_that_is_another_one_is_named(house):
    house.run_all(stages(house))
    corpus = house.stage("corpus", Settings(text="y"), text=Source(identity="text 1"))
    house.run(corpus)
    (line,) = said(house, stages(house, text="y"))["student"][1:]
    assert line.startswith("input: corpus corpus/v0001-")
    assert " -> corpus/v0002-" in line


def test_damage_is_explained_and_left_where_it_is(house):
    outcomes = house.run_all(stages(house))
    (outcomes["corpus"].artifact.path / "deep" / "model.txt").unlink()
    assert said(house, stages(house)) == {
        "corpus": ("run", "artifact damaged: deep/model.txt is missing"),
        "teacher": ("reuse",),
        "student": ("run", "input: corpus will be rebuilt"),
    }
    assert outcomes["corpus"].artifact.path.exists()


def test_unfinished_work_is_resumed(house):
    def fail(_config, run):
        (run.scratch / "checkpoint").write_text("x")
        raise KeyboardInterrupt

    stage = house.stage("teacher", Settings(), run=fail)
    try:
        house.run(stage)
    except KeyboardInterrupt:
        reason = plan([stage], house.store)[0][1]
    assert reason.action == "resume"
    assert reason.reasons == ("unfinished work is kept", "no artifact yet")
