"""What automations can react to: an artifact was made, a stage failed."""

from typing import Any
from uuid import UUID

from prefect.events import emit_event
from prefect.utilities.urls import url_for

from tasks.presentation import figures

ARTIFACT_CREATED = "tinybert.artifact.created"
STAGE_FAILED = "tinybert.stage.failed"
MOST_FIGURES = 40


def artifact_created(stage: str, ref: str, state: str, seconds: float, metrics: dict[str, Any]) -> None:
    """Tell that a stage made an artifact; one that was merely reused is no news."""
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
    """Tell that a stage of a run ended without an artifact, and why."""
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
