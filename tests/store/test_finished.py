"""An artifact may stand for the stage that made it."""

import pytest

from pipeline.errors import StoreError
from pipeline.store.finished import FinishedStage
from pipeline.store.materialize import plan
from pipeline.store.stage import ancestors


def test_what_is_built_on_an_artifact_is_what_is_built_on_its_stage(house):
    corpus = house.stage("corpus")
    made = house.run(corpus).artifact
    finished = FinishedStage(made)
    assert house.store.fingerprint(finished) == house.store.fingerprint(corpus)
    assert house.store.find(finished).ref == made.ref
    on_artifact, on_stage = (house.stage("model", corpus=given) for given in (finished, corpus))
    assert house.store.fingerprint(on_artifact) == house.store.fingerprint(on_stage)
    artifact = house.run(on_artifact).artifact
    assert house.run(on_stage).state == "reused"
    assert artifact.manifest.inputs["corpus"].ref == made.ref
    assert [stage.name for stage in ancestors(on_artifact)] == ["corpus"]
    assert plan([on_artifact], house.store)[0][1].action == "reuse"


def test_a_damaged_artifact_stands_for_nothing(house):
    made = house.run(house.stage("corpus")).artifact
    stage = house.stage("model", corpus=FinishedStage(made))
    (made.path / "deep" / "model.txt").write_text("other")
    with pytest.raises(StoreError, match="cannot run before its input corpus is there"):
        house.run(stage)
