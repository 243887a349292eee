"""Models from outside the store: folders by their content, hub ids by name and revision."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_run import Tiny, save_teacher, tiny

from pipeline.config.runtime import Runtime
from pipeline.errors import ConfigError, ModelError
from pipeline.progress import Silent
from pipeline.stages.inputs import expand, model_input, model_source
from pipeline.store.source import Source, source_digest
from pipeline.store.stage import StageRun

CHAIN = """
from pipeline.config.load import load_config
from pipeline.progress import Silent
from pipeline.stages.two_stage import two_stage
from pipeline.store.materialize import materialize
from pipeline.store.store import Store

config = load_config("tiny.yaml", ["teacher.model=org/bert", "teacher.revision=v2"])
for stage in two_stage(config, "teacher"):
    materialize(stage, Store(config.runtime.store), config.runtime, Silent())
"""


def given(folder: Path, source: Source) -> StageRun:
    return StageRun({"teacher": tuple(map(Path, source.paths))}, folder, folder, Runtime(), Silent())


def test_a_folder_is_known_by_its_content(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    here, there = (model_source(str(tmp_path / name), "v2") for name in ("here", "there"))
    assert source_digest(here) == source_digest(there)
    found = model_input(given(tmp_path, here), "teacher")
    assert (found.location, found.revision) == (str(tmp_path / "here"), "main")


def test_a_hub_id_is_known_by_name_and_revision_and_loaded_at_it(tmp_path: Path) -> None:
    main, pinned = model_source("org/bert"), model_source("org/bert", "refs/pr/1")
    assert source_digest(main) != source_digest(pinned) != source_digest(model_source("org/other", "refs/pr/1"))
    found = model_input(given(tmp_path, pinned), "teacher")
    assert (found.location, found.revision) == ("org/bert", "refs/pr/1")


def test_the_model_of_an_artifact(tmp_path: Path) -> None:
    run = StageRun({"teacher": tmp_path}, tmp_path, tmp_path, Runtime(), Silent())
    assert model_input(run, "teacher").location == str(tmp_path / "model")


@pytest.mark.parametrize("location", ["./none", "/no/where", "~/none", "builtin:none", "runs/one/model"])
def test_a_path_that_leads_nowhere_is_not_taken_for_a_hub_id(location: str) -> None:
    with pytest.raises(ModelError, match="check the path"):
        model_source(location)


def test_globs_are_sorted_and_one_without_a_match_stays_to_be_named(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "c.md"):
        (tmp_path / name).touch()
    wanted = tuple(str(tmp_path / name) for name in ("*.txt", "*.parquet", "c.md"))
    assert [Path(path).name for path in expand(wanted)] == ["a.txt", "b.txt", "*.parquet", "c.md"]


@pytest.mark.slow
def test_the_revision_that_was_asked_for_is_the_one_that_is_loaded(tmp_path: Path) -> None:
    """From the hub's cache on this machine, without network: main has another teacher than v2."""
    run = tiny(tmp_path / "run", finished=True)
    cache = tmp_path / "hub" / "hub" / "models--org--bert"
    for revision, layers in (("main", 1), ("v2", 2)):
        commit = str(layers) * 40
        (cache / "refs").mkdir(parents=True, exist_ok=True)
        (cache / "refs" / revision).write_text(commit)
        if layers == 2:
            shutil.copytree(run.folder / "teacher", cache / "snapshots" / commit)
        else:
            save_teacher(cache / "snapshots" / commit, num_hidden_layers=layers)
    local = {"HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHAIN],
        cwd=run.folder,
        env=os.environ | local,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = (run.store.open(f"teacher/v{version}") for version in (1, 2))
    assert second.manifest.inputs["pretrained"].identity == "hub:org/bert@v2"
    weights = [(one.path / "model" / "model.safetensors").read_bytes() for one in (first, second)]
    assert weights[0] == weights[1]  # v2 is the very teacher of the undisturbed run


def test_a_run_that_must_stay_offline_refuses_a_hub_id(tmp_path: Path) -> None:
    run: Tiny = tiny(tmp_path)
    with pytest.raises(ConfigError, match=r"runtime.offline is set, but the tokenizer of corpus is hub:bert-base@main"):
        run.stages("runtime.offline=true", "teacher.model=bert-base")
    assert run.stages("runtime.offline=true").report is not None
