"""Events for automations: an artifact was made, a stage failed."""

from typing import Any
from uuid import UUID

from prefect.events import emit_event
from prefect.utilities.urls import url_for

from tasks.presentation import figures

ARTIFACT_CREATED = "tinybert.artifact.created"
STAGE_FAILED = "tinybert.stage.failed"
MOST_FIGURES = 40


def artifact_created(stage: str, ref: str, state: str, seconds: float, metrics: dict[str, Any]) -> None:
    """Emit the event that a stage made an artifact; not to be called for a reused one.

    Args:
        stage: name of the stage.
        ref: reference of the artifact.
        state: "completed" or "resumed".
        seconds: how long the stage took.
        metrics: values that the stage recorded; at most ``MOST_FIGURES`` are sent.
    """
    emit_event(
        ARTIFACT_CREATED,
        resource={
            "prefect.resource.id": f"tinybert.artifact.{ref.replace('/', '.')}",
            "prefect.resource.name": ref,
            "tinybert.stage": stage,
        },
        payload={
            "stage": stage,
            "ref": ref,
            "state": state,
            "seconds": round(seconds, 3),
            "metrics": dict(figures(metrics)[:MOST_FIGURES]),
        },
    )


def stage_failed(stage: str, reason: str, flow_run: UUID | None) -> None:
    """Emit the event that a stage ended without an artifact.

    Args:
        stage: name of the stage.
        reason: the error, for people.
        flow_run: id of the flow run; None outside a flow.
    """
    emit_event(
        STAGE_FAILED,
        resource={
            "prefect.resource.id": f"tinybert.stage.{stage}",
            "prefect.resource.name": stage,
            "tinybert.stage": stage,
        },
        payload={
            "stage": stage,
            "reason": reason,
            "flow_run": str(flow_run or ""),
            "url": url_for("flow-run", obj_id=flow_run, url_type="ui") or "" if flow_run else "",
        },
    )
