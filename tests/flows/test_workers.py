"""Shards of the augmentation made by others: threads, processes and a Dask cluster of two workers."""

import random
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from killed_worker import dies_once
from tiny_run import Tiny, tiny

from pipeline.config.runtime import Workers
from pipeline.data.tasks import table
from pipeline.engine import candidates as work
from pipeline.errors import ConfigError
from tasks import fan_out

STAGES = ("candidates", "augmentation")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny run has fifty sentences; it is cut into shards by the process that leads."""
    monkeypatch.setattr(work, "SHARD_SENTENCES", 5)
    monkeypatch.setattr(table, "READ_ROWS", 7)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the artifacts are when one process makes every shard in order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work, "SHARD_SENTENCES", 5)
        patch.setattr(table, "READ_ROWS", 7)
        run = tiny(tmp_path_factory.mktemp("alone"))
        run.run(until="augmentation")
        return digests(run)


def digests(run: Tiny, *stages: str) -> dict[str, str]:
    return {name: run.artifact(name).manifest.digest for name in stages or STAGES}


def flow(run: Tiny, *overrides: str, until: str = "augmentation") -> Any:
    from flows.two_stage import two_stage_flow

    return two_stage_flow(run.config(*overrides), until, return_state=True)


def bundles(state: Any) -> dict[str, str]:
    """Task runs that made shards, and how they ended; the server learns of it a moment later."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[state.state_details.flow_run_id]))
    others = {"task_data", *STAGES}
    deadline = time.monotonic() + 60
    while True:
        with get_client(sync_client=True) as client:
            named = [(run.name, run.state_name) for run in client.read_task_runs(flow_run_filter=of_run)]
        found = {name: state for name, state in named if name not in others and not name.startswith("shards-")}
        if not {"Running", "Pending"} & set(found.values()) or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("workers", ["{kind: threads, count: 3}", "{kind: processes, count: 2}"])
def test_however_many_make_them_the_bytes_are_the_same(fresh: Tiny, alone: dict[str, str], workers: str) -> None:
    if "processes" in workers:
        pytest.importorskip("prefect_dask")
    state = flow(fresh, f"runtime.workers={workers}")
    assert state.is_completed(), state.message
    assert digests(fresh) == alone
    made = bundles(state)
    assert {name.split()[0] for name in made} == set(STAGES)
    assert len(made) >= 10
    assert set(made.values()) == {"Completed"}


@pytest.fixture
def cluster() -> Iterator[str]:
    """The address of a Dask scheduler with two workers in processes of their own."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0) as running:
        yield running.scheduler_address


@pytest.mark.slow
@pytest.mark.usefixtures("server")
def test_a_cluster_that_is_there_makes_them(
    fresh: Tiny, alone: dict[str, str], cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("prefect_dask")
    state = flow(fresh, f"runtime.workers={{kind: dask, address: '{cluster}'}}")  # the workers serve both stages
    assert state.is_completed(), state.message
    assert digests(fresh) == alone
    workers = Workers(kind="dask", address=cluster)
    monkeypatch.setattr(fan_out, "CLUSTER_WORKERS", 1)
    with fan_out.task_runner(workers) as runner:
        assert fan_out.num_workers(workers, runner) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("server")
def test_a_worker_that_is_killed_costs_a_shard_and_changes_nothing(
    fresh: Tiny, alone: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("prefect_dask")
    marker = fresh.folder / "a worker died"
    monkeypatch.setattr(work, "make_shard", partial(dies_once, marker, 3))
    state = flow(fresh, "runtime.workers={kind: processes, count: 2}", until="candidates")
    assert marker.exists()
    assert state.is_completed(), state.message
    assert digests(fresh, "candidates") == {"candidates": alone["candidates"]}


def test_bundles_are_few_and_hold_every_shard_once() -> None:
    for count in (1, 2, 31, 32, 33, 1000):
        shards = random.Random(count).sample(range(5000), count)
        found = fan_out.bundled(shards, 32)
        assert [number for bundle in found for number in bundle] == shards
        assert len(found) <= 32


class Cluster:
    """A task runner of which only the scheduler is asked: host -> threads."""

    def __init__(self, *threads: int) -> None:
        self.client, self._threads = self, threads

    def nthreads(self) -> dict[str, int]:
        return {f"tcp://host{number}:1": count for number, count in enumerate(self._threads)}


@pytest.mark.parametrize(
    ("workers", "threads", "found"),
    [
        (Workers(kind="threads", count=3), (64,), 3),
        (Workers(kind="processes", count=2), (1, 1), 2),
        (Workers(kind="dask", address="tcp://there:8786"), (16,) * 12, 192),
        (Workers(kind="dask", address="tcp://there:8786", count=99), (), fan_out.CLUSTER_WORKERS),
    ],
)
def test_a_clusters_own_workers_count(workers: Workers, threads: tuple[int, ...], found: int) -> None:
    runner: Any = Cluster(*threads)
    assert fan_out.num_workers(workers, runner) == found


def test_without_dask_its_name_and_the_way_out_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("pipeline.config.extras.find_spec", lambda _name: None)
    workers = tiny(tmp_path).config("runtime.workers.kind=processes").runtime.workers
    with pytest.raises(ConfigError, match=r"pip install 'tinybert-pipeline\[dask\]', or choose threads or here"):
        fan_out.task_runner(workers)


@pytest.mark.parametrize("written", ["{kind: dask}", "{kind: threads, address: 'tcp://there:8786'}"])
def test_an_address_goes_with_a_cluster(tmp_path: Path, written: str) -> None:
    with pytest.raises(ConfigError, match="a scheduler's address goes with kind dask"):
        tiny(tmp_path).config(f"runtime.workers={written}")
