"""After a kill -9 nobody tells the server: the next run does, so that nothing is shown as running for ever."""

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
from tasks.alive import Holder, alive, dead, forget, holder
from tasks.failure import tell_failure

AGAIN = "the next run goes on from its last checkpoint"
UNDER_WAY = {StateType.RUNNING, StateType.PENDING, StateType.CANCELLING}
SCHEDULED = StateType.SCHEDULED  # to be tried again


@contextmanager
def accounted_for(store: str) -> Iterator[None]:
    """Hold the flow run's sign of life while the block lasts, and first bury the dead.

    Args:
        store: the store's folder; runs on the same store look after one another.
    """
    context = FlowRunContext.get()
    assert context is not None, "accounted_for() belongs inside a flow"  # noqa: S101 - ours alone call it
    assert context.flow_run is not None  # noqa: S101
    run = context.flow_run.id
    root = Store(store).root
    with alive(root, run, holder(server())):
        try:
            with get_client(sync_client=True) as client:
                sweep(root, client)
                _crash_tasks(client, run, f"an earlier attempt died here; {AGAIN}")
        except Exception as error:  # noqa: BLE001 - housekeeping must not stop the run
            get_run_logger().warning("runs that were killed may still be shown as running: %s", error)
        yield


def sweep(store: Path, client: SyncPrefectClient) -> list[UUID]:
    """Mark every run on a store whose process is gone, and its stages, as crashed.

    Returns:
        The flow runs that were dead.
    """
    buried = []
    with dead(store) as found:
        for run, gone in found:
            if _bury(client, run, gone):
                forget(store, run)
                buried.append(run)
    return buried


def server() -> str:
    """What tells one Prefect server from another: its address, or the folder of the temporary one."""
    return str(PREFECT_API_URL.value() or PREFECT_HOME.value())


def _bury(client: SyncPrefectClient, run: UUID, gone: Holder) -> bool:
    """Set the states of a dead run right; whether this was the server to do it on."""
    reason = f"its process ({gone.pid} on {gone.machine}) was killed"
    try:
        state = client.read_flow_run(run).state
    except ObjectNotFound:
        return gone.server == server()  # deleted there; another server may still show it
    _crash_tasks(client, run, f"{reason}; {AGAIN}")
    if state is not None and state.type == StateType.CANCELLING:
        client.set_flow_run_state(run, Cancelled(message=reason), force=True)
    elif state is not None and state.type in UNDER_WAY:
        client.set_flow_run_state(run, Crashed(message=f"{reason}; {AGAIN}"), force=True)
    return True


def _crash_tasks(client: SyncPrefectClient, run: UUID, reason: str) -> None:
    """No stage of the run is being worked on: those that seem so have crashed."""
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run]))
    open_still = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=[*UNDER_WAY, SCHEDULED])))
    # The server answers with a page; whoever is settled is not on the next one.
    while left := client.read_task_runs(flow_run_filter=of_run, task_run_filter=open_still):
        for task in left:
            client.set_task_run_state(task.id, Crashed(message=reason), force=True)
            if task.name.isidentifier():  # a stage, not some of its shards
                tell_failure(client, task.name, reason, task.id, run)
