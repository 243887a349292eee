"""Make the shards of a stage as Prefect tasks: in threads, in processes of this machine, or on a Dask cluster.

A task makes a bundle of shards, so a million shards are not a million tasks. When a worker dies, Dask gives its bundle
to another worker, which makes the shards that are missing.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import as_completed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from pipeline.config.extras import require_workers
from pipeline.config.runtime import Workers
from pipeline.store.fan_out import FanOut, Work, one_after_other

if TYPE_CHECKING:
    from prefect_dask.task_runners import DaskTaskRunner

BUNDLES_A_WORKER = 16  # few enough to watch, and enough that nobody waits long for the last of them
CLUSTER_WORKERS = 32  # at least so many are reckoned with: a cluster may grow while it works


@task(name="shards", task_run_name="{stage} {bundle}", cache_policy=NO_CACHE, persist_result=False)
def make_bundle(stage: str, bundle: str, work: Work, shards: Sequence[int]) -> None:  # noqa: ARG001 - they name the run
    """Make some shards, one after the other."""
    for number in shards:
        work(number)


def fan_out_of(stage: str, workers: Workers) -> FanOut:
    """Return the function that makes the shards of a stage as tasks of the current flow run.

    Args:
        stage: name of the stage.
        workers: kind and number of the workers.
    """
    if workers.kind == "here":
        return one_after_other

    def fan_out(work: Work, shards: Sequence[int]) -> Iterator[int]:
        if not shards:
            return
        with task_runner(workers) as runner:
            bundles = {}
            for some in bundled(shards, num_workers(workers, runner) * BUNDLES_A_WORKER):
                name = str(some[0]) if len(some) == 1 else f"{some[0]} to {some[-1]}"
                given = {"stage": stage, "bundle": name, "work": work, "shards": some}
                bundles[runner.submit(make_bundle, given)] = some
            for future in as_completed(list(bundles)):
                future.result()
                yield from bundles[future]

    return fan_out


def bundled(shards: Sequence[int], most: int) -> list[list[int]]:
    """Group consecutive shards into at most ``most`` bundles."""
    size = -(-len(shards) // most)
    return [list(shards[start : start + size]) for start in range(0, len(shards), size)]


def num_workers(workers: Workers, runner: TaskRunner[Any]) -> int:
    """Return how many shards are made at once; for a cluster, the number of threads its scheduler reports now."""
    if workers.kind != "dask":
        return workers.count
    threads: dict[str, int] = cast("DaskTaskRunner", runner).client.nthreads()
    return max(CLUSTER_WORKERS, sum(threads.values()))


def task_runner(workers: Workers) -> TaskRunner[Any]:
    """Build the Prefect task runner for these workers.

    Raises:
        ConfigError: the workers need Dask, which is not installed.
    """
    if workers.kind == "threads":
        return ThreadPoolTaskRunner(max_workers=workers.count)
    require_workers(workers)
    from prefect_dask.task_runners import DaskTaskRunner

    if workers.kind == "dask":
        return DaskTaskRunner(address=workers.address)
    own = {"n_workers": workers.count, "threads_per_worker": 1, "dashboard_address": None, "memory_limit": 0}
    return DaskTaskRunner(cluster_class="distributed.LocalCluster", cluster_kwargs=own)
