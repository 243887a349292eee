"""The outcome of a run: the result table, and where the report and the students are."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.stages.two_stage import TwoStage
from pipeline.store.artifact import Artifact
from pipeline.store.store import Store


def outcome(run: TwoStage, store: Store) -> dict[str, Any]:
    """Artifacts of a finished run by stage, with its results and the report where there are any."""
    artifacts = {stage.name: store.get(stage) for stage in run}
    found: dict[str, Any] = {"artifacts": {name: artifact.ref for name, artifact in artifacts.items()}}
    if "evaluation" in artifacts:
        found |= json.loads((artifacts["evaluation"].path / "results.json").read_text(encoding="utf-8"))
    if "report" in artifacts:
        found["report"] = str(artifacts["report"].path / "report.html")
        found["students"] = str(artifacts["report"].path / "students")
        found["summary"] = artifacts["report"].metrics["summary"]
    else:
        last = list(artifacts.values())[-1]
        found["output"] = str(last.path)
    return found


def print_outcome(found: dict[str, Any], console: Console) -> None:
    """The result table, the sentence that sums it up, and the files to open next."""
    if "results" in found:
        console.print(_table(found["results"], found["dev_rows"]))
    if "summary" in found:
        console.print(found["summary"])
    for name in ("report", "students", "output"):
        if name in found:
            console.print(f"{name}: {found[name]}", soft_wrap=True, markup=False, highlight=False)


def _table(results: list[dict[str, Any]], dev_rows: int) -> Table:
    table = Table(title=f"Results on {dev_rows:,} dev rows, 95% interval by bootstrap", title_justify="left")
    table.add_column("model")
    metrics = list(results[0]["metrics"])
    for heading in (*metrics, "interval", "of teacher", "parameters", "ms a row"):
        table.add_column(heading, justify="right")
    for row in results:
        low, high = row["interval"]
        table.add_row(
            row["name"],
            *(_number(row["metrics"].get(metric)) for metric in metrics),
            f"{low:.3f} to {high:.3f}",
            "" if row["retention"] is None else f"{row['retention']:.1%}",
            f"{row['parameters']:,}" if row.get("parameters") else "",
            "" if row.get("latency_ms") is None else f"{row['latency_ms']:.1f}",
        )
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def artifact_json(artifact: Artifact) -> dict[str, Any]:
    """An artifact as a script would read it."""
    return {
        "ref": artifact.ref,
        "path": str(Path(artifact.path)),
        **artifact.manifest.model_dump(mode="json"),
    }
