"""What a finished stage leaves in the Prefect UI: its figures, its loss curves, and the way to its artifact."""

import json
import logging
import os
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.context import TaskRunContext

from pipeline.store.artifact import Artifact
from pipeline.store.materialize import Outcome
from tasks.events import artifact_created
from tasks.story import key, links, loss_histories, metric_rows, result_rows

REPORTS_URL = "TINYBERT_REPORTS_URL"
RESULTS = "results.json"
log = logging.getLogger("prefect.tinybert")


def publish(outcome: Outcome) -> None:
    """Show what a stage has made, or has again; a server that cannot be reached is no reason to fail.

    Loss curves are drawn once, in the run that trained; a run that reuses the stage links to its artifact.
    """
    artifact, stage = outcome.artifact, outcome.artifact.manifest.stage
    new = outcome.state != "reused"
    try:
        histories = loss_histories(artifact.path)
        with get_client(sync_client=True) as client:
            _post(client, stage, "artifact", "markdown", links(artifact, outcome.state, os.environ.get(REPORTS_URL)))
            rows = metric_rows(artifact.metrics, histories)
            if rows:
                _post(client, stage, "metrics", "table", json.dumps(rows), f"Figures of {artifact.ref}")
            if new:
                for title, picture in _pictures(stage, histories):
                    _post(client, stage, f"loss {title}", "image", picture, f"Loss terms of {artifact.ref} {title}")
            if (artifact.path / RESULTS).is_file():
                _post_results(client, artifact)
        if new:
            artifact_created(stage, artifact.ref, outcome.state, outcome.seconds, artifact.metrics)
    except Exception as error:  # noqa: BLE001 - the artifact is safe in the store; its picture is a courtesy
        log.warning("%s is finished, but cannot be shown in the UI: %s", artifact.ref, error)


def _post_results(client: SyncPrefectClient, artifact: Artifact) -> None:
    """The result table belongs to the run as a whole."""
    found = json.loads((artifact.path / RESULTS).read_text(encoding="utf-8"))
    title = f"Results on {found['dev_rows']:,} dev rows"
    _post(client, "run", "results", "table", json.dumps(result_rows(found["results"])), title, whole_run=True)


def _pictures(stage: str, histories: dict[str, list[dict[str, float]]]) -> list[tuple[str, str]]:
    """(title, address) of each loss curve."""
    if not histories:
        return []
    from pipeline.report.picture import data_url, picture
    from pipeline.report.plots import loss_curves

    named = {f"{stage} {title}".strip(): title for title in histories}
    drawings = loss_curves({name: histories[title] for name, title in named.items()})
    return [(named[name], data_url(picture(str(drawing)))) for name, drawing in drawings.items()]


def _post(
    client: SyncPrefectClient,
    stage: str,
    what: str,
    kind: str,
    data: Any,
    description: str | None = None,
    *,
    whole_run: bool = False,
) -> None:
    context = TaskRunContext.get()
    assert context is not None, "publish() belongs inside a task"  # noqa: S101 - ours alone call it
    run = context.task_run
    client.create_artifact(
        ArtifactCreate(
            key=key(stage, what),
            type=kind,
            description=description,
            data=data,
            task_run_id=None if whole_run else run.id,
            flow_run_id=run.flow_run_id,
        )
    )
