"""Print the outcome of a run: the result table, and the paths of the report and the students."""

import json
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.report.formats import judged, machine
from pipeline.report.tables import plain_cells, score_headings
from pipeline.stages.graph import TwoStage
from pipeline.store.artifact import Artifact
from pipeline.store.stage import by_name
from pipeline.store.store import Store

SCATTERED = "\n?: not measured reliably, the times are scattered"


def outcome(run: TwoStage, store: Store) -> dict[str, Any]:
    """Return the outcome of a finished run as JSON values: artifacts by stage, results, paths of the report."""
    artifacts = {name: store.get(stage) for name, stage in by_name(run).items()}
    result: dict[str, Any] = {"artifacts": {name: artifact.ref for name, artifact in artifacts.items()}}
    if "task_data" in artifacts:
        result["warnings"] = artifacts["task_data"].metrics["warnings"]
    scored = next((name for name in ("report", "evaluation") if name in artifacts), None)  # the report has times too
    if scored:
        result |= json.loads((artifacts[scored].path / "results.json").read_text(encoding="utf-8"))
        result["times_judged"] = _times_judged(artifacts["evaluation"], store)
    if "report" in artifacts:
        result["report"] = str(artifacts["report"].path / "report.html")
        result["students"] = str(artifacts["report"].path / "students")
        result["summary"] = artifacts["report"].metrics["summary"]
    else:
        last = list(artifacts.values())[-1]
        result["output"] = str(last.path)
    return result


def _times_judged(evaluation: Artifact, store: Store) -> int:
    """How many evaluations of a store were judged on the same rows: the more, the less their best one says."""
    rows = evaluation.metrics["judged_digest"]
    return sum(other.metrics.get("judged_digest") == rows for other in store.list("evaluation"))


def print_outcome(result: dict[str, Any], console: Console) -> None:
    """Print the result table, warnings, the summary, and the files to open next."""
    if "results" in result:
        console.print(_table(result))
        if result["judged_on"] == "test":
            times = result["times_judged"]
            console.print(f"These test rows have judged {times} evaluation{'s' if times > 1 else ''} in this store.")
    for warning in result.get("warnings", ()):
        console.print(f"[yellow]warning:[/] {escape(warning)}", soft_wrap=True, highlight=False)
    if "summary" in result:
        console.print(result["summary"])
    for name in ("report", "students", "output"):
        if name in result:
            console.print(f"{name}: {result[name]}", soft_wrap=True, markup=False, highlight=False)


def _table(result: dict[str, Any]) -> Table:
    results = result["results"]
    timed = "machine" in result
    title = f"Results on {judged(result['judged_rows'], result['judged_on'])}"
    if timed:
        title += f"; ms: batch {result['latency_batch']}, length {result['latency_length']}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("model", no_wrap=True)
    metrics = list(results[0]["metrics"])
    headings = score_headings(metrics, result.get("metric_names", {}))
    for heading in (*headings, "95% interval", "of teacher", "parameters", *(["ms"] if timed else [])):
        table.add_column(escape(heading), justify="right", no_wrap=heading not in headings)
    for row in results:
        cells = plain_cells(row, metrics, between="..")
        mark = "" if row.get("latency_reliable", True) or not cells.milliseconds else "?"
        times = [cells.milliseconds + mark] if timed else []
        table.add_row(row["name"], *cells.scores, cells.interval, cells.retention, cells.parameters, *times)
    if timed:
        scattered = any(not row["latency_reliable"] for row in results)
        table.caption = f"ms on {machine(result['machine'])}" + (SCATTERED if scattered else "")
        table.caption_justify = "left"
    return table
