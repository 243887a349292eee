"""Show what came of a stage: artifacts in the Prefect UI, and events for automations."""

import json
import os
from functools import partial
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.context import TaskRunContext
from prefect.events import emit_event
from prefect.logging import get_run_logger
from prefect.utilities.urls import url_for

from pipeline.report.formats import judged, machine, words
from pipeline.report.picture import data_url, picture
from pipeline.store.artifact import Artifact
from pipeline.store.materialize import Outcome
from tasks.presentation import failure, figures, key, links, loss_histories, metric_rows, result_rows

ARTIFACT_CREATED = "tinybert.artifact.created"
STAGE_FAILED = "tinybert.stage.failed"
MOST_FIGURES = 40  # of an artifact's metrics that an event carries
REPORTS_URL = "TINYBERT_REPORTS_URL"
RESULTS = "results.json"


def publish(outcome: Outcome) -> None:
    """Show a stage's artifact in the UI; a server that cannot be reached does not make the stage fail.

    Loss curves are drawn once, in the run that trained; a run that reuses the stage links to its artifact.
    """
    artifact, stage = outcome.artifact, outcome.artifact.manifest.stage
    context = TaskRunContext.get()
    assert context is not None, "publish() belongs inside a task"  # noqa: S101 - ours alone call it
    run, new = context.task_run, outcome.state != "reused"
    try:
        if new:
            _emit_created(outcome)
        histories = loss_histories(artifact.path)
        with get_client(sync_client=True) as client:
            post = partial(_post, client, stage, flow_run=run.flow_run_id, task_run=run.id)
            way = links(artifact, outcome.state, os.environ.get(REPORTS_URL))
            post("artifact", "markdown", way, f"Where {artifact.ref} is, and what it was made from")
            if rows := metric_rows(artifact.metrics, histories):
                post("metrics", "table", json.dumps(rows), f"Figures of {artifact.ref}")
            if new and histories and (pictures := loss_pictures(stage, histories)):
                post("loss", "markdown", pictures, f"Loss terms of {artifact.ref}")
            if (artifact.path / RESULTS).is_file():
                _post_results(client, artifact, run.flow_run_id)
    except Exception as error:  # noqa: BLE001 - the artifact is safe in the store; its picture is a courtesy
        get_run_logger().warning("%s is finished, but cannot be shown in the UI: %s", artifact.ref, error)


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
    url = url_for("flow-run", obj_id=flow_run, url_type="ui") if flow_run else None
    _emit(STAGE_FAILED, stage, f"stage.{stage}", stage, reason=reason, flow_run=str(flow_run or ""), url=url or "")
    _post(client, stage, "failure", "markdown", failure(stage, reason), reason, flow_run=flow_run, task_run=task_run)


def loss_pictures(stage: str, histories: dict[str, list[dict[str, float]]]) -> str:
    """Write Markdown with the loss curves of a stage as pictures.

    An artifact of Prefect's kind "image" would show the whole address of each picture beneath it.
    """
    from pipeline.report.plots import loss_curves  # it loads the library that draws

    drawings = loss_curves({title or stage: curve for title, curve in histories.items()})
    return "\n\n".join(
        f"### {words(title)}\n\n![{words(title)}]({data_url(picture(str(drawing)))})"
        for title, drawing in drawings.items()
    )


def _post_results(client: SyncPrefectClient, artifact: Artifact, flow_run: UUID | None) -> None:
    """Show the result table of the whole run: first that of the evaluation, then that of the report, with times."""
    results = json.loads((artifact.path / RESULTS).read_text(encoding="utf-8"))
    title = f"Results on {judged(results['judged_rows'], results['judged_on'])}"
    if "machine" in results:
        cell = f"batch {results['latency_batch']}, length {results['latency_length']}"
        title += f"; times: {cell}, {machine(results['machine'])}"
    title = ". ".join([title, *map("Warning: {}".format, results.get("warnings", ()))])
    rows = result_rows(results["results"], results.get("metric_names", {}))
    _post(client, "run", "results", "table", json.dumps(rows), title, flow_run=flow_run)


def _post(
    client: SyncPrefectClient,
    stage: str,
    what: str,
    kind: str,
    data: Any,
    description: str,
    *,
    flow_run: UUID | None,
    task_run: UUID | None = None,
) -> None:
    """Create an artifact of Prefect's, of a task run or of the whole flow run."""
    named = {"key": key(stage, what), "type": kind, "description": description, "data": data}
    client.create_artifact(ArtifactCreate(**named, flow_run_id=flow_run, task_run_id=task_run))


def _emit_created(outcome: Outcome) -> None:
    artifact = outcome.artifact
    _emit(
        ARTIFACT_CREATED,
        artifact.manifest.stage,
        f"artifact.{artifact.ref.replace('/', '.')}",
        artifact.ref,
        ref=artifact.ref,
        state=outcome.state,
        seconds=round(outcome.seconds, 3),
        metrics=dict(figures(artifact.metrics)[:MOST_FIGURES]),
    )


def _emit(event: str, stage: str, resource: str, name: str, **payload: Any) -> None:
    """Emit an event about a stage; ``resource`` and ``name`` say which artifact or stage it is about."""
    related = {"prefect.resource.id": f"tinybert.{resource}", "prefect.resource.name": name, "tinybert.stage": stage}
    emit_event(event, resource=related, payload={"stage": stage, **payload})
