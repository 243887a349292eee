"""After a kill -9 nobody tells the server: the next run does, so that nothing is shown as running for ever."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import StateType
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, PREFECT_HOME
from prefect.states import Cancelled, Crashed

from pipeline.store.store import Store
from tasks.alive import Holder, alive, dead, holder
from tasks.events import stage_failed

AGAIN = "the next run goes on from its last checkpoint"
UNDER_WAY = {StateType.RUNNING, StateType.PENDING, StateType.CANCELLING}
log = logging.getLogger("prefect.tinybert")


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
            log.warning("runs that were killed may still be shown as running: %s", error)
        yield


def sweep(store: Path, client: SyncPrefectClient) -> list[UUID]:
    """Mark every run on a store whose process is gone, and its stages, as crashed.

    Returns:
        The flow runs that were dead.
    """
    with dead(store, server()) as found:
        for run, holder_ in found:
            _bury(client, run, holder_)
    return [run for run, _ in found]


def server() -> str:
    """What tells one Prefect server from another: its address, or the folder of the temporary one."""
    return str(PREFECT_API_URL.value() or PREFECT_HOME.value())


def _bury(client: SyncPrefectClient, run: UUID, gone: Holder) -> None:
    reason = f"its process ({gone.pid} on {gone.machine}) was killed"
    try:
        state = client.read_flow_run(run).state
    except ObjectNotFound:
        return
    _crash_tasks(client, run, f"{reason}; {AGAIN}")
    if state is None or state.type not in UNDER_WAY:
        return
    if state.type == StateType.CANCELLING:
        client.set_flow_run_state(run, Cancelled(message=reason), force=True)
    else:
        client.set_flow_run_state(run, Crashed(message=f"{reason}; {AGAIN}"), force=True)


def _crash_tasks(client: SyncPrefectClient, run: UUID, reason: str) -> None:
    """No stage of the run is being worked on: those that seem so have crashed."""
    for task in client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run]))):
        if task.state is not None and task.state.type in (*UNDER_WAY, StateType.SCHEDULED):
            client.set_task_run_state(task.id, Crashed(message=reason), force=True)
            stage_failed(task.name, reason)
