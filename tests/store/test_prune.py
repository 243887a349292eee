"""What pruning keeps beside the newest and the tagged, and what it clears away that was left behind."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.config.base import Config
from pipeline.errors import StoreError
from pipeline.store.disk import folder_bytes
from pipeline.store.locks import hold
from pipeline.store.prune import DAY_SECONDS
from pipeline.store.store import Store

LIVING = """
import sys
from pipeline.store.store import Store
store = Store(sys.argv[1])
with store.in_use():
    store.claim(store.open(sys.argv[2]))
    print("claimed", flush=True)
    sys.stdin.readline()
"""


class Text(Config):
    text: str


@pytest.fixture
def corpora(house: Any) -> Store:
    """Three versions of one stage."""
    for text in "abc":
        house.run(house.stage("corpus", Text(text=text)))
    return house.store


@pytest.fixture
def living(corpora: Store) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Another process whose run was given an artifact."""
    started = []

    def begin(ref: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", LIVING, str(corpora.root), ref],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def versions(store: Store) -> list[int]:
    return [artifact.manifest.version for artifact in store.list()]


def age(path: Path, days: float) -> None:
    """Make a folder look as if nothing in it had changed for so long."""
    then = time.time() - days * DAY_SECONDS
    for each in (*path.rglob("*"), path):
        os.utime(each, (then, then))


def test_what_a_living_run_was_given_stays_until_it_ends(
    corpora: Store, living: Callable[[str], subprocess.Popen[str]]
) -> None:
    run = living("corpus/v1")
    assert [one.ref.split("-")[0] for one in corpora.prune(1)] == ["corpus/v0002"]
    assert versions(corpora) == [1, 3]
    run.communicate("end\n")
    assert run.returncode == 0
    assert list(corpora.layout.leases.iterdir()) == []
    corpora.prune(1)
    assert versions(corpora) == [3]


def test_a_run_that_was_killed_keeps_nothing(corpora: Store, living: Callable[[str], subprocess.Popen[str]]) -> None:
    run = living("corpus/v1")
    run.kill()
    run.wait()
    corpora.prune(1)
    assert versions(corpora) == [3]
    assert list(corpora.layout.leases.iterdir()) == []


def test_what_a_run_is_given_by_materialize_is_claimed(house: Any, corpora: Store) -> None:
    with corpora.in_use():
        assert house.run(house.stage("corpus", Text(text="a"))).state == "reused"
        house.run(house.stage("teacher"))
        assert [one.ref.split("-")[0] for one in corpora.prune(0)] == ["corpus/v0002", "corpus/v0003"]
    assert len(corpora.prune(0)) == 2


def test_what_was_pruned_in_between_is_built_again(house: Any, corpora: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found, and gone before it could be claimed."""
    find, pruned = Store.find, []

    def late(store: Store, *given: Any) -> Any:
        found = find(store, *given)
        if found is not None and not pruned:
            pruned.extend(Store(store.root).prune(0))
        return found

    monkeypatch.setattr(Store, "find", late)
    with corpora.in_use():
        outcome = house.run(house.stage("corpus", Text(text="c")))
    assert outcome.state == "completed"
    assert outcome.artifact.path.is_dir()


def abandon(house: Any, name: str = "teacher") -> Path:
    """Unfinished work of a stage that failed."""

    def fail(_config: Any, run: Any) -> None:
        (run.scratch / "step").write_bytes(bytes(1000))
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        house.run(house.stage(name, run=fail))
    (work,) = house.store.layout.works.iterdir()
    return work


def test_work_goes_when_it_is_old_and_nobodys(house: Any) -> None:
    work = abandon(house)
    assert house.store.prune(3, days=7) == []
    age(work, 8)
    with hold(house.store.layout.lock(work.name)):
        assert house.store.prune(3, days=7) == []  # somebody is at it
    (left,) = house.store.prune(3, days=7, dry_run=True)
    assert (left.ref, left.size) == (f".work/{work.name}", folder_bytes(work))
    assert left.size >= 1000
    assert work.is_dir()
    assert house.store.prune(3, days=7) == [left]
    assert not work.exists()
    assert list(house.store.layout.trash.iterdir()) == []


def test_a_young_file_keeps_old_work(house: Any) -> None:
    work = abandon(house)
    age(work, 30)
    (work / "scratch" / "newer").touch()
    assert house.store.prune(3, days=7) == []


def test_work_that_is_pruned_no_longer_keeps_its_inputs(house: Any, corpora: Store) -> None:
    def fail(_config: Any, run: Any) -> None:
        (run.scratch / "step").touch()
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        house.run(house.stage("teacher", run=fail, corpus=house.stage("corpus", Text(text="a"))))
    (work,) = corpora.layout.works.iterdir()
    assert [one.ref.split("-")[0] for one in corpora.prune(1)] == ["corpus/v0002"]
    age(work, 8)
    assert {one.ref.split("-")[0] for one in corpora.prune(1)} == {"corpus/v0001", f".work/{work.name}"}


def test_teacher_features_quarantine_and_drafts_go_when_they_are_old(house: Any, corpora: Store) -> None:
    layout = corpora.layout
    features = layout.teacher_store / "0123"
    features.mkdir(parents=True)
    (features / "features").write_bytes(bytes(50))
    damaged = corpora.open("corpus/v1")
    (damaged.path / "deep" / "model.txt").write_text("?")
    house.run(house.stage("corpus", Text(text="a")))
    (set_aside,) = layout.quarantine.iterdir()
    draft = corpora.root / ".digests.json.0a.draft"
    draft.touch()
    assert corpora.prune(9, days=7) == []
    for path in (features, set_aside, draft):
        age(path, 8)
    gone = {one.ref: one.size for one in corpora.prune(9, days=7)}
    assert gone == {
        ".teacher-store/0123": 50,
        f".quarantine/{set_aside.name}": gone[f".quarantine/{set_aside.name}"],
        draft.name: 0,
    }
    assert not any(path.exists() for path in (features, set_aside, draft))
    assert versions(corpora) == [2, 3, 4]


def test_a_clock_that_was_set_back_only_keeps_more(house: Any) -> None:
    age(abandon(house), -400)
    assert house.store.prune(0, days=7) == []


def test_pruning_in_the_middle_of_a_stage_takes_neither_its_work_nor_its_inputs(house: Any) -> None:
    began, end = threading.Event(), threading.Event()

    def slow(_config: Any, run: Any) -> None:
        (run.output / "model").write_text(str((run.artifact("corpus") / "deep" / "model.txt").stat().st_size))
        began.set()
        assert end.wait(60)

    corpus = house.stage("corpus")
    house.run(corpus)
    stage = house.stage("teacher", run=slow, corpus=corpus)
    outcomes: list[Any] = []
    thread = threading.Thread(target=lambda: outcomes.append(house.run(stage)))
    thread.start()
    assert began.wait(60)
    assert house.store.prune(0, days=0) == []
    end.set()
    thread.join()
    assert outcomes[0].state == "completed"
    assert house.store.lineage(outcomes[0].artifact).inputs[0].artifact is not None


def test_an_empty_store_is_pruned_in_no_time(house: Any) -> None:
    assert house.store.prune(0, days=0) == []
    assert not house.store.root.exists()
    with pytest.raises(StoreError, match="cannot keep -1"):
        house.store.prune(-1)


@given(
    edges=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12),
    keep=st.integers(0, 2),
    tagged=st.sets(st.integers(0, 5), max_size=2),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_kept_has_all_it_was_made_from(
    edges: list[tuple[int, int]], keep: int, tagged: set[int], tmp_path_factory: pytest.TempPathFactory, house: Any
) -> None:
    house.store = Store(tmp_path_factory.mktemp("store") / "artifacts")
    stages: list[Any] = []
    for number in range(6):
        below = {f"in{a}": stages[a] for a, b in edges if a < b == number}
        stages.append(house.stage(f"stage{number % 3}", Text(text=str(number)), **below))
        house.run(stages[-1])
    for number in tagged:
        house.store.tag(f"stage{number % 3}/v{number // 3 + 1}", f"tag{number}")
    planned = house.store.prune(keep, dry_run=True)
    assert house.store.prune(keep) == planned
    left = {artifact.ref: artifact for artifact in house.store.list()}
    for artifact in left.values():
        assert {record.ref for record in artifact.manifest.inputs.values()} <= set(left)
    assert set(house.store.tags().values()) <= set(left)
    newest = {(f"stage{number}", version) for number in range(3) for version in range(3 - keep, 3)}
    assert newest <= {(artifact.manifest.stage, artifact.manifest.version) for artifact in left.values()}
