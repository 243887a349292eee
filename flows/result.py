"""Print the outcome of a run: the result table, and the paths of the report and the students."""

import json
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.report.formats import machine
from pipeline.report.tables import plain_cells, score_headings
from pipeline.stages.graph import TwoStage
from pipeline.store.stage import by_name
from pipeline.store.store import Store

SCATTERED = "\n?: not measured reliably, the times are scattered"


def outcome(run: TwoStage, store: Store) -> dict[str, Any]:
    """Return the outcome of a finished run as JSON values: artifacts by stage, results, paths of the report."""
    artifacts = {name: store.get(stage) for name, stage in by_name(run).items()}
    found: dict[str, Any] = {"artifacts": {name: artifact.ref for name, artifact in artifacts.items()}}
    if "task_data" in artifacts:
        found["warnings"] = artifacts["task_data"].metrics["warnings"]
    judged = next((name for name in ("report", "evaluation") if name in artifacts), None)  # the report's have times
    if judged:
        found |= json.loads((artifacts[judged].path / "results.json").read_text(encoding="utf-8"))
    if "report" in artifacts:
        found["report"] = str(artifacts["report"].path / "report.html")
        found["students"] = str(artifacts["report"].path / "students")
        found["summary"] = artifacts["report"].metrics["summary"]
    else:
        last = list(artifacts.values())[-1]
        found["output"] = str(last.path)
    return found


def print_outcome(found: dict[str, Any], console: Console) -> None:
    """Print the result table, warnings, the summary, and the files to open next."""
    if "results" in found:
        console.print(_table(found))
    for warning in found.get("warnings", ()):
        console.print(f"[yellow]warning:[/] {escape(warning)}", soft_wrap=True, highlight=False)
    if "summary" in found:
        console.print(found["summary"])
    for name in ("report", "students", "output"):
        if name in found:
            console.print(f"{name}: {found[name]}", soft_wrap=True, markup=False, highlight=False)


def _table(found: dict[str, Any]) -> Table:
    results = found["results"]
    timed = "machine" in found
    title = f"Results on {found['dev_rows']:,} dev rows"
    if timed:
        title += f"; ms: batch {found['latency_batch']}, length {found['latency_length']}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("model", no_wrap=True)
    metrics = list(results[0]["metrics"])
    headings = score_headings(metrics, found.get("metric_names", {}))
    for heading in (*headings, "95% interval", "of teacher", "parameters", *(["ms"] if timed else [])):
        table.add_column(escape(heading), justify="right", no_wrap=heading not in headings)
    for row in results:
        cells = plain_cells(row, metrics, between="..")
        mark = "" if row.get("latency_reliable", True) or not cells.milliseconds else "?"
        times = [cells.milliseconds + mark] if timed else []
        table.add_row(row["name"], *cells.scores, cells.interval, cells.retention, cells.parameters, *times)
    if timed:
        scattered = any(not row["latency_reliable"] for row in results)
        table.caption = f"ms on {machine(found['machine'])}" + (SCATTERED if scattered else "")
        table.caption_justify = "left"
    return table
