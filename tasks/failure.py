"""What is told of a stage that failed or was killed: an event for automations, and the reason for people to see."""

from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import ArtifactCreate

from tasks.events import stage_failed
from tasks.presentation import failure, key


def tell_failure(client: SyncPrefectClient, stage: str, reason: str, task_run: UUID, flow_run: UUID | None) -> None:
    """Tell those who wait for such news, and put the reason beside the task run.

    The UI shows the message of a task run's state nowhere but in its log.
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
