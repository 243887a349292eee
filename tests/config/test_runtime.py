"""How a run is executed, as users write it."""

import pytest

from pipeline.config.load import load_config
from pipeline.errors import ConfigError

NEEDS = ("teacher.model=bert", "corpus.paths=[a.txt]")


@pytest.mark.parametrize("written", ["on", "off", "auto", "'off'", "true", "false"])
def test_on_and_off_are_words_although_yaml_reads_truths(written: str) -> None:
    words = {"true": "on", "false": "off", "'off'": "off"}
    found = load_config(None, [*NEEDS, f"runtime.compile={written}"], "tinybert").runtime.compile
    assert found == words.get(written, written)


@pytest.mark.parametrize("written", ["1", "maybe", "null"])
def test_nothing_else_is_taken_for_one(written: str) -> None:
    with pytest.raises(ConfigError, match=r"runtime\.compile .*auto, on or off"):
        load_config(None, [*NEEDS, f"runtime.compile={written}"], "tinybert")
