"""What a stage hands to its work: every field of its slice, by name, and nothing else."""

import inspect
from importlib import import_module
from pathlib import Path

from tiny_run import tiny

from pipeline.store.entry import Entry


def test_the_work_of_a_stage_takes_the_fields_of_its_slice(tmp_path: Path) -> None:
    """The slice is what is fingerprinted: a field that the work ignores would rerun it for nothing."""
    for stage in tiny(tmp_path).stages():
        if isinstance(stage.run, Entry):
            parameters = inspect.signature(import_module(stage.run.module).run).parameters
            assert next(iter(parameters)) == "run", stage.name
            assert {*parameters} - {"run"} == {*type(stage.config).model_fields}, stage.name
