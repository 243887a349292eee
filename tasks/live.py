"""Show the progress of a running stage in the Prefect UI: one progress artifact, updated every few seconds.

A separate thread sends the newest state, so a slow or absent server costs the stage no time and cannot make it fail.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from threading import Event, Thread
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger

from pipeline.progress import Progress, Silent
from pipeline.report.formats import duration, words
from tasks.patience import patience
from tasks.presentation import key
from tasks.progress import Pace, show

SECONDS_BETWEEN_UPDATES = 5.0
LAST_WORD_SECONDS = 5.0


class LiveProgress:
    """The progress artifact of one task run; it is created with the first update that is sent.

    Args:
        stage: name of the stage.
        task_run: id of the task run that the artifact belongs to.
        flow_run: id of its flow run; None outside a flow.
        seconds: smallest time between two updates.
        usual: progress that receives everything too.
    """

    def __init__(self, stage: str, task_run: UUID, flow_run: UUID | None, seconds: float, usual: Progress) -> None:
        self._stage, self._usual = stage, usual
        self._task_run, self._flow_run = task_run, flow_run
        self._seconds = seconds
        self._pace = Pace()
        self._moment: tuple[float, float | None, Mapping[str, float | str]] | None = None
        self._left: float | None = None
        self._note = ""
        self._news = False
        self._over = Event()
        self._thread = Thread(target=copy_context().run, args=(self._send_all,), daemon=True)

    def update(self, done: float, total: float | None, **fields: float | str) -> None:
        """Keep the newest progress; the thread sends it."""
        self._usual.update(done, total, **fields)
        self._left = self._pace.seconds_left(done, total)
        self._moment = (done, total, fields)
        self._news = True

    def note(self, message: str) -> None:
        """Keep the newest note; the thread sends it."""
        self._usual.note(message)
        self._note = message
        self._news = True

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Send the newest state, wait for that a moment, and end the thread."""
        self._over.set()
        self._thread.join(LAST_WORD_SECONDS)

    def _send_all(self) -> None:
        artifact: UUID | None = None
        try:
            with get_client(sync_client=True) as client:
                while not self._over.wait(self._seconds):
                    artifact = self._send(client, artifact)
                if artifact is not None:
                    self._send(client, artifact)
        except Exception as error:  # noqa: BLE001 - a picture of the work is not worth the work
            get_run_logger().warning("the progress of %s is no longer shown in the UI: %s", self._stage, error)

    def _send(self, client: SyncPrefectClient, artifact: UUID | None) -> UUID | None:
        if not self._news:
            return artifact
        self._news = False
        done, total, _ = self._moment or (0.0, None, {})
        share = round(100 * min(1.0, done / total), 1) if total else 0.0
        text = described(self._moment, self._left, self._note)
        if artifact is not None:
            client.update_artifact(artifact, ArtifactUpdate(data=share, description=text))
            return artifact
        return client.create_artifact(
            ArtifactCreate(
                key=key(self._stage, "progress"),
                type="progress",
                description=text,
                data=share,
                task_run_id=self._task_run,
                flow_run_id=self._flow_run,
            )
        ).id


def described(
    moment: tuple[float, float | None, Mapping[str, float | str]] | None, left: float | None, note: str
) -> str:
    """Write the state of a stage as Markdown.

    Args:
        moment: units done, units in all (None if unknown), and figures by name; None before the first update.
        left: estimated seconds left; None if unknown.
        note: the newest note; "" without.
    """
    lines = []
    if moment is not None:
        done, total, fields = moment
        head = f"**{done:,g} of {total:,g}**" if total else f"**{done:,g}**"
        lines.append(head + (f", {duration(left)} left" if left is not None else ""))
        lines += [f"- {words(name)}: {show(value)}" for name, value in fields.items()]
    if note:
        lines += ["", f"_{note}_"]
    return "\n".join(lines)


@contextmanager
def live(stage: str, usual: Progress | None = None, seconds: float | None = None) -> Iterator[LiveProgress]:
    """Show the progress of the current task run while this block runs.

    Args:
        stage: name of the stage.
        usual: progress that receives everything too; None without.
        seconds: smallest time between two updates; None uses the default.
    """
    context = TaskRunContext.get()
    assert context is not None, "live() belongs inside a task"  # noqa: S101 - ours alone call it
    run = context.task_run
    pause = SECONDS_BETWEEN_UPDATES if seconds is None else seconds
    progress = LiveProgress(stage, run.id, run.flow_run_id, pause, usual or Silent())
    progress.start()
    try:
        yield progress
    except Exception:
        raise
    except BaseException:
        patience.leave()  # the run is told to leave
        raise
    finally:
        progress.stop()
