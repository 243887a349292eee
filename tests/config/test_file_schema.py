import json

import pytest
import yaml
from jsonschema import Draft202012Validator
from tiny_run import PRETRAINED, TREE

from pipeline.config.commented import commented
from pipeline.config.file_schema import file_schema


def mistakes(tree: object) -> list[str]:
    return [error.message for error in Draft202012Validator(file_schema()).iter_errors(tree)]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(json.loads(json.dumps(file_schema())))


@pytest.mark.parametrize("tree", [TREE, PRETRAINED, {"recipe": "tinybert", "per_task": {"sst2": {"seed": 1}}}, {}])
def test_what_can_be_loaded_fits(tree: object) -> None:
    assert mistakes(tree) == []


@pytest.mark.parametrize("recipe", ["demo", "hinton", "huawei", "tinybert"])
def test_what_init_writes_fits(recipe: str) -> None:
    assert mistakes(yaml.safe_load(commented(recipe))) == []


@pytest.mark.parametrize("tree", [{"sead": 1}, {"seed": "many"}, {"recipe": "huaway"}, {"teacher": {"modle": "x"}}])
def test_a_mistake_does_not(tree: object) -> None:
    assert mistakes(tree)
