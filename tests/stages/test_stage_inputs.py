"""Models from outside the store: folders by their content, hub ids by name and revision."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import datasets
import pytest
from tiny_run import Tiny, save_teacher, sentences, tiny, write_csv

from pipeline.config.runtime import Runtime
from pipeline.engine.inputs import expand, model_input, model_source
from pipeline.errors import ConfigError, ModelError
from pipeline.progress import Silent
from pipeline.store.source import Source, source_digest
from pipeline.store.stage import StageRun
from pipeline.store.store import Store

CHAIN = """
from pipeline.config.load import load_config
from pipeline.progress import Silent
from pipeline.stages.graph import two_stage
from pipeline.store.materialize import materialize
from pipeline.store.store import Store

config = load_config("tiny.yaml", ["teacher.model=org/bert", "teacher.revision=v2"])
for stage in two_stage(config, "teacher"):
    materialize(stage, Store(config.runtime.store), config.runtime, Silent())
"""


CONFIGURATIONS = """---
configs:
- config_name: all
  data_files: train.jsonl
- config_name: few
  data_files: other.jsonl
---
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


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def test_a_tilde_is_the_users_home_whatever_the_key(home: Path, tmp_path: Path) -> None:
    (home / "a.txt").touch()
    assert expand(("~/*.txt", "~/b.txt", "~nobody-here/c.txt")) == (
        str(home / "a.txt"),
        str(home / "b.txt"),
        "~nobody-here/c.txt",
    )
    assert Store("~/store").root == home / "store"
    stages = tiny(tmp_path / "run").stages("augmentation.vectors.path=~/vectors.txt")
    assert stages.candidates.inputs["vectors"].paths == (str(home / "vectors.txt"),)


def hub_corpus(run: Tiny, folder: str) -> tuple[str, ...]:
    (run.folder / folder).mkdir()
    rows = [json.dumps({"text": text}) for text, _ in sentences(20, 0)]
    (run.folder / folder / "train.jsonl").write_text("\n".join(rows) + "\n")
    return (f"corpus.hub=./{folder}",)


def hub_task(run: Tiny, folder: str) -> tuple[str, ...]:
    (run.folder / folder).mkdir()
    for split, count, seed in (("train", 12, 1), ("validation", 6, 2)):
        write_csv(run.folder / folder / f"{split}.csv", ("sentence", "topic"), list(sentences(count, seed)))
    return (f"task.hub=./{folder}",)


@pytest.mark.parametrize(("stage", "prepare"), [("corpus", hub_corpus), ("task_data", hub_task)])
def test_a_folder_named_as_a_hub_data_set_is_known_by_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, prepare: Callable[[Tiny, str], tuple[str, ...]]
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    run = tiny(tmp_path / "run")
    here = prepare(run, "here")
    assert run.run(*here, "runtime.offline=true", until=stage)[stage].state == "completed"
    there = tuple(change.replace("here", "there") for change in here)
    (run.folder / "here").rename(run.folder / "there")
    assert run.plan(*there)[stage].action == "reuse"
    train = next((run.folder / "there").glob("train.*"))
    train.write_text(train.read_text().replace("the", "a"))
    assert run.plan(*there)[stage].action != "reuse"
    outcome = run.run(*there, until=stage)[stage]
    assert outcome.state == "completed"
    assert outcome.artifact.manifest.version == 2


def test_the_splits_of_a_folder_are_told_apart_by_the_names_of_their_files(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    change = hub_task(run, "rows")
    with chdir(run.folder):
        before = run.store.fingerprint(run.stages(*change, until="task_data").task_data)
        Path("rows/validation.csv").rename("rows/zzz.csv")
        assert run.store.fingerprint(run.stages(*change, until="task_data").task_data) != before


def test_the_configuration_of_a_hub_corpus_is_part_of_what_it_is(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    plain, named = (
        run.stages("corpus.hub=org/text", *more, until="corpus").corpus for more in ((), ("corpus.hub_config=en",))
    )
    assert named.inputs["text"].identity == "datasets:org/text:en:train@main"
    assert source_digest(plain.inputs["text"]) != source_digest(named.inputs["text"])
    assert named.config.corpus.hub == "org/text"


def test_the_configuration_of_a_hub_corpus_says_which_files_are_read(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    named = hub_corpus(run, "texts")
    (run.folder / "texts" / "other.jsonl").write_text(json.dumps({"text": "one two three"}) + "\n")
    (run.folder / "texts" / "README.md").write_text(CONFIGURATIONS)
    read = {
        name: run.run(*named, f"corpus.hub_config={name}", until="corpus")["corpus"].artifact.metrics["documents"]
        for name in ("all", "few")
    }
    assert read == {"all": 20, "few": 1}


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
    assert second.manifest.inputs["pretrained"].identity == f"hub:org/bert@{'2' * 40}"
    weights = [(one.path / "model" / "model.safetensors").read_bytes() for one in (first, second)]
    assert weights[0] == weights[1]  # v2 is the very teacher of the undisturbed run


def test_a_run_that_must_stay_offline_refuses_a_hub_id(tmp_path: Path) -> None:
    run: Tiny = tiny(tmp_path)
    with pytest.raises(ConfigError, match=r"runtime.offline is set, but the tokenizer of corpus is hub:bert-base@main"):
        run.stages("runtime.offline=true", "teacher.model=bert-base")
    assert run.stages("runtime.offline=true").report is not None


@pytest.mark.parametrize(
    ("stated", "same"),
    [("task.metric=matthews", True), ("task.max_length=64", True), ("task.max_length=63", False)],
)
def test_what_glue_says_of_a_task_may_be_stated(tmp_path: Path, stated: str, *, same: bool) -> None:
    (tmp_path / "cola").mkdir()
    for split in ("train", "dev"):
        (tmp_path / "cola" / f"{split}.tsv").write_text("a\t1\t*\ta sentence\n", encoding="utf-8")
    run = tiny(tmp_path)
    files = ("task.train=null", "task.dev=null", "task.unlabelled=[]", "task.max_length=null")
    usual, other = (
        next(stage.settings for stage in run.stages(*files, *more) if stage.name == "task_data")
        for more in (("task.name=cola", "task.dir=cola"), ("task.name=cola", "task.dir=cola", stated))
    )
    assert (usual == other) == same
