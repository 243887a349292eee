import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from pipeline.config.runtime import Runtime
from pipeline.errors import DataError, StoreError
from pipeline.store.materialize import materialize
from pipeline.store.source import Source
from pipeline.store.stage import ancestors, by_name
from pipeline.store.store import Store


def chain(house, **corpus):
    corpus = house.stage("corpus", **corpus)
    teacher = house.stage("teacher")
    return house.stage("student", corpus=corpus, teacher=teacher)


def test_a_second_run_reuses_everything(house):
    first = house.run_all(chain(house))
    second = house.run_all(chain(house))
    assert [outcome.state for outcome in first.values()] == ["completed"] * 3
    assert [outcome.state for outcome in second.values()] == ["reused"] * 3
    assert {n: o.artifact.ref for n, o in first.items()} == {n: o.artifact.ref for n, o in second.items()}
    assert house.ran == ["corpus", "teacher", "student"]


def test_an_artifact_says_what_it_is(house, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("x")
    stage = house.stage("teacher", text=Source((str(text),)), hub=Source(identity="hub:bert"))
    artifact = house.run(stage).artifact
    manifest = artifact.manifest
    assert artifact.ref == f"teacher/v0001-{house.store.fingerprint(stage)[:12]}"
    assert artifact.path == house.store.root / artifact.ref
    assert artifact.metrics == {"accuracy": 0.5, "per_length": {"short": 1, "long": None}}
    assert manifest.config["training"] == {"learning_rate": 0.001}
    assert manifest.seed == 7
    assert list(manifest.files) == ["deep/model.txt"]
    assert manifest.inputs["text"].paths == [str(text)]
    assert manifest.inputs["hub"].identity == "hub:bert"
    assert manifest.packages["pydantic"]
    assert house.store.open(artifact.ref) == artifact
    assert list(house.store.layout.works.iterdir()) == []


def test_the_stage_is_given_its_inputs(house, tmp_path):
    seen = {}

    def look(_config, run):
        seen.update(corpus=run.artifact("corpus"), text=run.paths("text"), hub=run.paths("hub"))
        seen.update(has=[run.has("corpus"), run.has("vectors")], output=list(run.output.iterdir()))
        with pytest.raises(TypeError, match="is a source"):
            run.artifact("text")
        with pytest.raises(TypeError, match="is an artifact"):
            run.paths("corpus")
        with pytest.raises(ValueError, match="loss"):
            run.record(loss=float("nan"))

    (tmp_path / "text").mkdir()
    corpus = house.stage("corpus")
    text, hub = Source((str(tmp_path / "text"),)), Source(identity="hub:bert")
    outcomes = house.run_all(house.stage("teacher", run=look, corpus=corpus, text=text, hub=hub))
    assert seen == {
        "corpus": outcomes["corpus"].artifact.path,
        "text": (tmp_path / "text",),
        "hub": (),
        "has": [True, False],
        "output": [],
    }


def test_a_failure_commits_nothing_keeps_scratch_and_resumes(house):
    def fragile(_config, run):
        step = len(list(run.scratch.iterdir()))
        (run.scratch / f"step{step}").write_text("done")
        (run.output / f"half{step}").write_text("x")
        if step == 0:
            raise RuntimeError("out of luck")

    stage = house.stage("teacher", run=fragile)
    with pytest.raises(RuntimeError, match="out of luck"):
        house.run(stage)
    assert house.store.list() == []
    assert house.store.find(stage) is None
    outcome = house.run(stage)
    assert outcome.state == "resumed"
    assert outcome.artifact.manifest.timings.resumed
    assert list(outcome.artifact.manifest.files) == ["half1"]
    assert house.run(stage).state == "reused"


def test_a_stage_does_not_run_before_its_inputs(house):
    with pytest.raises(StoreError, match="student cannot run before its input corpus and teacher is there"):
        house.run(chain(house))
    assert house.ran == []
    with pytest.raises(StoreError, match="student has no finished artifact"):
        house.store.get(chain(house))


def test_an_upstream_rebuilt_with_other_content_is_noticed(house):
    content = ["one"]

    def drift(_config, run):
        (run.output / "data").write_text(content[0])

    student = house.stage("student", corpus=house.stage("corpus", run=drift))
    before = house.run_all(student)
    (before["corpus"].artifact.path / "data").unlink()
    assert [outcome.state for outcome in house.run_all(student).values()] == ["completed", "reused"]
    newest = house.store.open("corpus")
    (newest.path / "data").unlink()
    content[0] = "two"
    after = house.run_all(student)
    assert [outcome.state for outcome in after.values()] == ["completed", "completed"]
    assert after["student"].artifact.manifest.version == 2
    assert after["corpus"].artifact.manifest.version == 3


def test_scratch_of_another_upstream_is_not_resumed(house):
    content = ["one"]
    fail = [True]

    def drift(_config, run):
        (run.output / "data").write_text(content[0])

    def learn(_config, run):
        (run.scratch / content[0]).write_text("")
        if fail[0]:
            raise RuntimeError("killed")
        (run.output / "seen").write_text(" ".join(sorted(path.name for path in run.scratch.iterdir())))

    student = house.stage("student", run=learn, corpus=house.stage("corpus", run=drift))
    with pytest.raises(RuntimeError):
        house.run_all(student)
    (house.store.open("corpus").path / "data").unlink()
    content[0], fail[0] = "two", False
    outcome = house.run_all(student)["student"]
    assert outcome.state == "completed"
    assert (outcome.artifact.path / "seen").read_text() == "two"


def test_a_source_edited_while_the_stage_runs_is_an_error(house, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("before")
    stage = house.stage("corpus", run=lambda _c, _r: text.write_text("after!"), text=Source((str(text),)))
    with pytest.raises(DataError, match="an input of corpus changed while it ran"):
        house.run(stage)
    assert house.store.list() == []
    assert house.run(stage).state == "completed"


@pytest.mark.parametrize("kind", ["link", "linked folder", "manifest"])
def test_what_cannot_be_sealed_is_refused(house, kind):
    def bad(_config, run):
        if kind == "manifest":
            (run.output / "manifest.json").write_text("{}")
        else:
            target = run.scratch / "weights" if kind == "link" else run.scratch
            (run.scratch / "weights").write_text("x")
            (run.output / "weights").symlink_to(target)

    with pytest.raises(StoreError, match="cannot be sealed"):
        house.run(house.stage("teacher", run=bad))
    assert house.store.list() == []


def test_ancestors_come_in_order_each_once(house):
    corpus = house.stage("corpus")
    teacher, general = house.stage("teacher"), house.stage("general", corpus=corpus)
    twin = house.stage("teacher")
    last = house.stage("report", general=general, teacher=teacher, twin=twin, corpus=corpus)
    assert [stage.name for stage in ancestors(last)] == ["corpus", "general", "teacher"]
    deep = corpus
    for _ in range(40):  # a chain of diamonds: 2 to the 40 paths
        deep = house.stage("step", left=deep, right=deep)
    assert len(ancestors(deep)) == 40


def test_a_bad_stage_name_is_ours_to_mend(house):
    for name in ["Teacher", "../x", "a-b", "", "1a", ".work"]:
        with pytest.raises(ValueError, match="rename the stage"):
            house.stage(name)


def test_two_threads_run_a_stage_once(house):
    entered, leave = threading.Event(), threading.Event()

    def slow(_config, run):
        entered.set()
        leave.wait(30)
        (run.output / "data").write_text("x")

    stage = house.stage("teacher", run=slow)
    states = []
    threads = [threading.Thread(target=lambda: states.append(house.run(stage).state)) for _ in range(2)]
    threads[0].start()
    entered.wait(30)
    threads[1].start()
    while not house.notes.lines:
        threads[1].join(0.01)
    leave.set()
    for thread in threads:
        thread.join()
    assert sorted(states) == ["completed", "reused"]
    assert house.ran == ["teacher"]
    assert house.notes.lines == ["teacher is being built by another process: waiting for it"]


def test_a_full_disk_is_said_in_one_line(house):
    def fill(_config, run):
        (run.scratch / "checkpoint").write_text("kept")
        with open("/dev/full", "w") as file:  # noqa: PTH123
            file.write("x")

    stage = house.stage("teacher", run=fill)
    with pytest.raises(StoreError, match=r"no space left for the store .* unfinished one resumes"):
        house.run(stage)
    assert house.store.work_dir(house.store.fingerprint(stage)).started({})


def test_a_stage_that_may_not_read_elsewhere_is_not_the_stores_fault(house):
    def refused(_config, _run):
        raise PermissionError(13, "Permission denied", "/secret/corpus.txt")

    with pytest.raises(PermissionError):
        house.run(house.stage("teacher", run=refused))


def test_a_store_that_is_a_file_is_named(house, tmp_path):
    (tmp_path / "file").write_text("x")
    for root in [tmp_path / "file", tmp_path / "file" / "below"]:
        with pytest.raises(StoreError, match=f"cannot use the store {root}"):
            materialize(house.stage("teacher"), Store(root), Runtime())


READ_ONLY = """
import os, sys, json
from tests_store_stage import stage
from pipeline.config.runtime import Runtime
from pipeline.errors import StoreError
from pipeline.store.materialize import materialize, plan
from pipeline.store.store import Store
store = Store(sys.argv[1])
materialize(stage("teacher"), store, Runtime())
os.chmod(store.root, 0o755)
for folder, folders, files in os.walk(store.root):
    os.chmod(folder, 0o555)
if os.geteuid() == 0:
    os.seteuid(65534)
answer = {"state": materialize(stage("teacher"), Store(sys.argv[1]), Runtime()).state}
try:
    materialize(stage("student"), Store(sys.argv[1]), Runtime())
except StoreError as error:
    answer["error"] = str(error)
answer["plan"] = plan([stage("student")], store)[0][1].action
print(json.dumps(answer))
"""

STAGE = """
from pipeline.config.base import Config
from pipeline.store.stage import Stage
class Settings(Config):
    seed: int = 1
def write(config, run):
    (run.output / "data").write_text("x")
def stage(name):
    return Stage(name, 1, Settings(), {}, write)
"""


@pytest.fixture
def open_folder():
    """A temporary folder that an unprivileged user can get to, unlike ``tmp_path``."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o711)
    yield folder
    for parent, _, _ in os.walk(folder):
        Path(parent).chmod(0o700)
    shutil.rmtree(folder)


def test_a_read_only_store_still_reuses_and_says_why_it_cannot_run(open_folder):
    (open_folder / "tests_store_stage.py").write_text(STAGE)
    (open_folder / "script.py").write_text(READ_ONLY)
    root = open_folder / "artifacts"
    command = [sys.executable, str(open_folder / "script.py"), str(root)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["state"] == "reused"
    assert answer["plan"] == "run"
    assert answer["error"].startswith(f"cannot use the store {root}: Permission denied")
    assert "\n" not in answer["error"]


def test_two_stages_of_one_name_are_refused_and_not_taken_for_one(house):
    one, other = house.stage("train"), house.stage("train", version=2)
    assert by_name([one, house.stage("test"), one])["train"] is one
    with pytest.raises(ValueError, match="two stages of a run have the name 'train'"):
        by_name([one, other])
