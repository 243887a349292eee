"""What a stage hands to its work: every field of its slice, by name, and nothing else."""

import inspect
from importlib import import_module
from pathlib import Path

import pytest
from tiny_run import PRETRAINED, TREE, tiny, write_tree

from pipeline.store.entry import Entry


@pytest.mark.parametrize("start", ["general", "teacher", "pretrained"])
@pytest.mark.parametrize("tree", [TREE, PRETRAINED], ids=["teacher", "pretrained"])
def test_the_work_of_a_stage_takes_the_fields_of_its_slice(tmp_path: Path, tree: dict[str, object], start: str) -> None:
    """The slice is what is fingerprinted: a field that the work ignores would rerun it for nothing."""
    run = tiny(tmp_path)
    write_tree(run.folder, tree)
    for stage in run.stages(f"students.0.start={start}"):
        assert isinstance(stage.run, Entry), stage.name
        parameters = inspect.signature(import_module(stage.run.module).run).parameters
        assert next(iter(parameters)) == "run", stage.name
        assert {*parameters} - {"run"} == {*type(stage.config).model_fields}, stage.name
