"""A student is what it is, however it is written; what contradicts the model it starts from is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_run import SHAPE, Tiny, save_teacher, tiny

from pipeline.engine.comparison import baseline_names
from pipeline.errors import ModelError
from pipeline.stages.label_only import same_size

FOLDER = {"num_hidden_layers": 4, "hidden_size": 312, "num_attention_heads": 12, "intermediate_size": 1200}
PRESET = "tinybert-4l-312d"
SPELT = {"layers": 4, "hidden": 312, "heads": 12, "intermediate": 1200}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """A run whose folder we are in, with a model of the preset's shape and one of the teacher's."""
    made = tiny(tmp_path)
    monkeypatch.chdir(tmp_path)
    config = json.loads((tmp_path / "teacher" / "config.json").read_text())
    (tmp_path / "like-preset").mkdir()
    (tmp_path / "like-preset" / "config.json").write_text(json.dumps(config | FOLDER))
    return made


def students(*given: dict[str, Any]) -> str:
    return "students=" + json.dumps([{"name": f"s{number}"} | one for number, one in enumerate(given)])


def compared(run: Tiny, *given: dict[str, Any]) -> list[str]:
    """What each student's yardstick is called."""
    return list(baseline_names(same_size(run.config(students(*given)))).values())


def fingerprints(run: Tiny, *overrides: str) -> dict[str, str]:
    """Of all stages but the report, which shows the configuration as it is written."""
    return {stage.name: run.store.fingerprint(stage) for stage in run.stages(*overrides) if stage.name != "report"}


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"preset": PRESET}, "'s0' has preset 'tinybert-4l-312d' (layers 4) but starts from ./teacher, which has"),
        ({"layers": 3}, "'s0' has layers 3 but starts from ./teacher, which has layers 2"),
        ({"hidden": 64}, "'s0' has hidden 64 but starts from ./teacher, which has hidden 32"),
        ({"heads": 8}, "'s0' has heads 8 but starts from ./teacher, which has heads 4"),
        ({"intermediate": 99}, "'s0' has intermediate 99 but starts from ./teacher, which has intermediate 48"),
        ({"dropout": 0.3}, "'s0' has dropout 0.3 but starts from ./teacher, which has dropout 0.1"),
    ],
)
def test_what_is_stated_beside_a_folder_and_differs_is_refused_before_anything_runs(
    run: Tiny, stated: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelError) as caught:
        run.plan(students({"start": "./teacher"} | stated))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_stated_and_equals_the_folder_stands_and_is_the_same_student(run: Tiny) -> None:
    usual = fingerprints(run, students({"start": "./teacher"}))
    stated = {"layers": 2, "hidden": 32, "heads": 4, "intermediate": 48, "dropout": 0.1}
    assert fingerprints(run, students({"start": "./teacher"} | stated)) == usual
    like = fingerprints(run, students({"start": "./like-preset"}))
    assert fingerprints(run, students({"start": "./like-preset", "preset": PRESET})) == like


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ({"preset": PRESET}, SPELT),
        ({"preset": PRESET}, {"preset": PRESET, "dropout": 0.1}),
        ({"layers": 1, "hidden": 16}, {"layers": 1, "hidden": 16, "intermediate": 64, "dropout": 0.1}),
    ],
)
def test_a_default_that_is_stated_is_the_same_student(run: Tiny, short: dict[str, Any], long: dict[str, Any]) -> None:
    assert fingerprints(run, students(short)) == fingerprints(run, students(long))


def test_yardsticks_go_by_the_real_shape(run: Tiny) -> None:
    save_teacher(run.folder / "own", num_hidden_layers=1, hidden_size=16, intermediate_size=24)
    assert compared(run, {"preset": PRESET}, {"start": "./teacher"}) == ["label-only", "label-only like s1"]
    assert compared(run, {"preset": PRESET}, {"start": "./like-preset"}, SPELT) == ["label-only"] * 3
    assert compared(run, SHAPE, {"start": "./own"}, SHAPE | {"heads": 4}) == ["label-only"] * 3
    assert compared(run, SHAPE, SHAPE | {"heads": 2}) == ["label-only", "label-only like s1"]
    assert compared(run, {"start": "a/b"}, {"start": "a/c"}, {"start": "a/b"}) == [
        *("label-only", "label-only like s1", "label-only")
    ]


def test_a_model_of_the_same_shape_and_another_vocabulary_is_another_size(run: Tiny) -> None:
    save_teacher(run.folder / "own", num_hidden_layers=1, hidden_size=16, intermediate_size=24, vocab_size=300)
    assert compared(run, SHAPE, {"start": "./own"}) == ["label-only", "label-only like s1"]


def test_without_a_label_only_student_nothing_is_compared(run: Tiny) -> None:
    assert same_size(run.config("evaluation.label_only=null")) == {}
