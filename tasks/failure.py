"""Report a stage that failed or was killed: an event for automations, and an artifact with the reason."""

from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import ArtifactCreate

from tasks.events import stage_failed
from tasks.presentation import failure, key


def report_failure(client: SyncPrefectClient, stage: str, reason: str, task_run: UUID, flow_run: UUID | None) -> None:
    """Emit the event of a failed stage, and attach the reason to the task run as an artifact.

    The artifact is needed because the UI shows the message of a task run's state only in its log.

    Args:
        client: client of the Prefect server.
        stage: name of the stage.
        reason: the error, for people.
        task_run: id of the task run.
        flow_run: id of the flow run; None outside a flow.
    """
    stage_failed(stage, reason, flow_run)
    client.create_artifact(
        ArtifactCreate(
            key=key(stage, "failure"),
            type="markdown",
            description=reason,
            data=failure(stage, reason),
            task_run_id=task_run,
            flow_run_id=flow_run,
        )
    )
