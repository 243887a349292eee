"""Show a finished stage in the Prefect UI: its figures, loss curves, results and links to its artifact."""

import json
import os
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger

from pipeline.report.formats import machine, words
from pipeline.report.picture import data_url, picture
from pipeline.store.artifact import Artifact
from pipeline.store.materialize import Outcome
from tasks.events import artifact_created
from tasks.presentation import key, links, loss_histories, metric_rows, result_rows

REPORTS_URL = "TINYBERT_REPORTS_URL"
RESULTS = "results.json"


def publish(outcome: Outcome) -> None:
    """Show a stage's artifact in the UI; a server that cannot be reached does not make the stage fail.

    Loss curves are drawn once, in the run that trained; a run that reuses the stage links to its artifact.
    """
    artifact, stage = outcome.artifact, outcome.artifact.manifest.stage
    new = outcome.state != "reused"
    try:
        if new:
            artifact_created(stage, artifact.ref, outcome.state, outcome.seconds, artifact.metrics)
        histories = loss_histories(artifact.path)
        with get_client(sync_client=True) as client:
            way = links(artifact, outcome.state, os.environ.get(REPORTS_URL))
            _post(client, stage, "artifact", "markdown", way, f"Where {artifact.ref} is, and what it was made from")
            rows = metric_rows(artifact.metrics, histories)
            if rows:
                _post(client, stage, "metrics", "table", json.dumps(rows), f"Figures of {artifact.ref}")
            pictures = loss_pictures(stage, histories) if new else ""
            if pictures:
                _post(client, stage, "loss", "markdown", pictures, f"Loss terms of {artifact.ref}")
            if (artifact.path / RESULTS).is_file():
                _post_results(client, artifact)
    except Exception as error:  # noqa: BLE001 - the artifact is safe in the store; its picture is a courtesy
        get_run_logger().warning("%s is finished, but cannot be shown in the UI: %s", artifact.ref, error)


def _post_results(client: SyncPrefectClient, artifact: Artifact) -> None:
    """Show the result table of the whole run: first that of the evaluation, then that of the report, with times."""
    found = json.loads((artifact.path / RESULTS).read_text(encoding="utf-8"))
    title = f"Results on {found['dev_rows']:,} dev rows"
    if "machine" in found:
        cell = f"batch {found['latency_batch']}, length {found['latency_length']}"
        title += f"; times: {cell}, {machine(found['machine'])}"
    title = ". ".join([title, *map("Warning: {}".format, found.get("warnings", ()))])
    rows = result_rows(found["results"], found.get("metric_names", {}))
    _post(client, "run", "results", "table", json.dumps(rows), title, whole_run=True)


def loss_pictures(stage: str, histories: dict[str, list[dict[str, float]]]) -> str:
    """Write Markdown with the loss curves of a stage as pictures; "" if it has none.

    An artifact of Prefect's kind "image" would show the whole address of each picture beneath it.
    """
    if not histories:
        return ""
    from pipeline.report.plots import loss_curves  # it loads the library that draws

    drawings = loss_curves({title or stage: curve for title, curve in histories.items()})
    return "\n\n".join(
        f"### {words(title)}\n\n![{words(title)}]({data_url(picture(str(drawing)))})"
        for title, drawing in drawings.items()
    )


def _post(
    client: SyncPrefectClient,
    stage: str,
    what: str,
    kind: str,
    data: Any,
    description: str,
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
