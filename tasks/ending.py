"""How a run ends in Prefect: with a message in its last state, and within seconds after it was cancelled in the UI.

A worker ends the runs that it started; any other run asks the server whether it was cancelled.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import copy_context
from functools import wraps
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State, StateType
from prefect.context import FlowRunContext
from prefect.states import Cancelled, Completed, Failed

from pipeline.config.run import RunConfig
from pipeline.errors import PipelineError
from pipeline.store.store import Store
from tasks.patience import patience

TERMINATED = 143
STARTED_BY_A_WORKER = "PREFECT__FLOW_RUN_ID"
SECONDS_BETWEEN_LOOKS = 5.0
Run = Callable[[RunConfig, str | None], Any]


class RunCancelledError(PipelineError):
    """The run was cancelled in the UI."""

    exit_code = 130  # as Ctrl-C's


def report_outcome(run: Run) -> Callable[..., State[Any]]:
    """Wrap a flow's function so that the flow ends in a state with a message.

    For a user's mistake the message is the error, without a traceback; the caller of the flow still gets it raised. A
    state that the function itself returns is passed on.

    Args:
        run: (configuration, last stage) -> ref of the report, None if the run stops before it, or a state.
    """

    @wraps(run)
    def run_to_state(config: RunConfig, until: str | None = None) -> State[Any]:
        try:
            outcome = run(config, until)
        except RunCancelledError as error:
            return Cancelled(message=str(error), data=error)
        except PipelineError as error:
            return Failed(message=str(error), data=error)
        except Exception:
            raise
        except BaseException:  # Ctrl-C, SIGTERM
            patience.leave()
            raise
        if isinstance(outcome, State):
            return outcome
        if outcome is None:
            return Completed(message=f"{until} and what it needs are there")
        report = Store(config.runtime.store).open(outcome)
        return Completed(message=str(report.metrics["summary"]), data=outcome)

    return run_to_state


@contextmanager
def ending_orderly() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, with a last checkpoint; within a flow, Prefect does this itself."""

    def leave(*_: object) -> None:
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
        with ExitStack() as after:
            if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell's background jobs have it
                after.callback(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler))
            watch.start()
            after.callback(over.set)
            yield
    except KeyboardInterrupt:
        if not cancelled.is_set():
            raise
        raise RunCancelledError("cancelled in the UI; run it again to go on from the last checkpoint") from None


def _watch(run: UUID, over: threading.Event, cancelled: threading.Event) -> None:
    while not over.wait(SECONDS_BETWEEN_LOOKS):
        with suppress(Exception), get_client(sync_client=True) as client:  # the server may be away for a while
            state = client.read_flow_run(run).state
            if state is not None and state.type == StateType.CANCELLING and not over.is_set():
                cancelled.set()
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # wakes what sleeps, too
