"""Mark flow runs that were killed as crashed: after a kill -9 only the next run can tell the Prefect server."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger
from prefect.settings import PREFECT_API_URL, PREFECT_HOME
from prefect.states import Cancelled, Crashed

from pipeline.store.store import Store
from tasks.liveness import RunProcess, dead_runs, hold_liveness, remove_lock_file, this_process
from tasks.publish import report_failure

AGAIN = "the next run goes on from its last checkpoint"
UNDER_WAY = {StateType.RUNNING, StateType.PENDING, StateType.CANCELLING}
SCHEDULED = StateType.SCHEDULED  # to be tried again


@contextmanager
def crash_accounting(store: str) -> Iterator[None]:
    """Mark flow runs whose process is gone as Crashed, then hold this run's liveness lock while the block runs.

    Args:
        store: folder of the store; only runs on the same store are looked at.
    """
    context = FlowRunContext.get()
    assert context is not None, "crash_accounting() belongs inside a flow"  # noqa: S101 - ours alone call it
    assert context.flow_run is not None  # noqa: S101
    run = context.flow_run.id
    root = Store(store).root
    with hold_liveness(root, run, this_process(server())):
        try:
            with get_client(sync_client=True) as client:
                mark_dead_runs(root, client)
                _crash_tasks(client, run, f"an earlier attempt died here; {AGAIN}")
        except Exception as error:  # noqa: BLE001 - housekeeping must not stop the run
            get_run_logger().warning("runs that were killed may still be shown as running: %s", error)
        yield


def mark_dead_runs(store: Path, client: SyncPrefectClient) -> list[UUID]:
    """Mark every flow run on a store whose process is gone, and its task runs, as crashed.

    Args:
        store: folder of the store.
        client: client of the Prefect server.

    Returns:
        The flow runs that were marked.
    """
    marked = []
    with dead_runs(store) as runs:
        for run, process in runs:
            if _mark_crashed(client, run, process):
                remove_lock_file(store, run)
                marked.append(run)
    return marked


def server() -> str:
    """Return what identifies the Prefect server: its address, or the folder of a temporary one."""
    return str(PREFECT_API_URL.value() or PREFECT_HOME.value())


def _mark_crashed(client: SyncPrefectClient, run: UUID, process: RunProcess) -> bool:
    """Set the states of a dead run to crashed or cancelled; return whether this server is the one that knows it."""
    reason = f"its process ({process.pid} on {process.machine}) was killed"
    try:
        state = client.read_flow_run(run).state
    except ObjectNotFound:
        return process.server == server()  # deleted there; another server may still show it
    _crash_tasks(client, run, f"{reason}; {AGAIN}")
    if state is not None and state.type == StateType.CANCELLING:
        client.set_flow_run_state(run, Cancelled(message=reason), force=True)
    elif state is not None and state.type in UNDER_WAY:
        client.set_flow_run_state(run, Crashed(message=f"{reason}; {AGAIN}"), force=True)
    return True


def _crash_tasks(client: SyncPrefectClient, run: UUID, reason: str) -> None:
    """Mark all unfinished task runs of a flow run as crashed: none of them is being executed."""
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run]))
    open_still = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=[*UNDER_WAY, SCHEDULED])))
    # The server answers one page at a time; task runs that are marked are not on the next page.
    while left := client.read_task_runs(flow_run_filter=of_run, task_run_filter=open_still):
        for task in left:
            client.set_task_run_state(task.id, Crashed(message=reason), force=True)
            if task.name.isidentifier():  # a stage, not some of its shards
                report_failure(client, task.name, reason, task.id, run)
