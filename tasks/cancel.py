"""Cancel a run that was cancelled in the UI: a worker ends the runs it started, any other run polls the server."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import copy_context
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.context import FlowRunContext

from pipeline.errors import PipelineError

STARTED_BY_A_WORKER = "PREFECT__FLOW_RUN_ID"
SECONDS_BETWEEN_LOOKS = 5.0


class RunCancelledError(PipelineError):
    """The run was cancelled in the UI."""

    exit_code = 130  # as Ctrl-C's


@contextmanager
def cancellable() -> Iterator[None]:
    """End this block as Ctrl-C does, within seconds after the current flow run was cancelled.

    Raises:
        RunCancelledError: the run was cancelled; the block has ended.
    """
    context = FlowRunContext.get()
    assert context is not None, "cancellable() belongs inside a flow"  # noqa: S101 - ours alone call it
    assert context.flow_run is not None  # noqa: S101
    if os.environ.get(STARTED_BY_A_WORKER) or threading.current_thread() is not threading.main_thread():
        yield
        return
    over, cancelled = threading.Event(), threading.Event()
    look = copy_context().run
    watch = threading.Thread(target=look, args=(_watch, context.flow_run.id, over, cancelled), daemon=True)
    try:
        with _interruptible():
            watch.start()
            try:
                yield
            finally:
                over.set()
    except KeyboardInterrupt:
        if not cancelled.is_set():
            raise
        raise RunCancelledError("cancelled in the UI; run it again to go on from the last checkpoint") from None


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGINT interrupt this block even if the process ignores it, as a shell's background jobs do."""
    with ExitStack() as after:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            after.callback(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler))
        yield


def _watch(run: UUID, over: threading.Event, cancelled: threading.Event) -> None:
    while not over.wait(SECONDS_BETWEEN_LOOKS):
        with suppress(Exception), get_client(sync_client=True) as client:  # the server may be away for a while
            state = client.read_flow_run(run).state
            if state is not None and state.type == StateType.CANCELLING and not over.is_set():
                cancelled.set()
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # wakes what sleeps, too
