"""Who wants to know that a stage is about to run is told, once, and only then."""

from dataclasses import replace
from typing import Any

from pipeline.config.runtime import Runtime
from pipeline.store.materialize import materialize
from pipeline.store.stage import StageRun


def test_a_stage_is_announced_with_its_inputs_before_it_runs(house: Any) -> None:
    corpus = house.stage("corpus")
    student = house.stage("student", corpus=corpus)
    said: list[str] = []

    def announce(run: StageRun) -> None:
        said.append(f"{sorted(run.inputs)}, {house.ran}, {list(run.output.iterdir())}")

    for stage in (corpus, student, student):
        materialize(stage, house.store, Runtime(), announce=announce)
    assert said == ["[], [], []", "['corpus'], ['corpus'], []"]


def test_running_on_several_processes_is_no_part_of_what_a_stage_is(house: Any) -> None:
    stage = house.stage("teacher")
    house.run(stage)
    assert house.run(replace(stage, parallel=True)).state == "reused"
