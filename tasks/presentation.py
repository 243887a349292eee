"""Present a finished stage as plain values: its figures, losses, results and files."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.report.formats import duration, size, words
from pipeline.report.tables import plain_cells, score_headings
from pipeline.store.artifact import Artifact
from tasks.progress import show

MOST_ROWS = 80
MOST_FILES = 12


def key(stage: str, what: str) -> str:
    """Return the key of one kind of Prefect artifact of a stage, the same in every run: a-z, 0-9 and dashes."""
    return re.sub("[^a-z0-9]+", "-", f"{stage} {what}".lower()).strip("-")


def figures(metrics: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float | str]]:
    """Flatten nested metrics to (name, value): plain values first, then groups, small groups before large ones.

    Args:
        metrics: values that a stage recorded.
        prefix: prepended to every name.
    """
    plain: list[tuple[str, float | str]] = []
    groups: list[list[tuple[str, float | str]]] = []
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            groups.append(figures(value, f"{prefix}{name}."))
        elif isinstance(value, list):
            plain.append((prefix + name, ", ".join(map(_spelt, value))))
        elif value is not None:
            plain.append((prefix + name, value if isinstance(value, int | float) else str(value)))
    return plain + [figure for group in sorted(groups, key=len) for figure in group]


def metric_rows(metrics: Mapping[str, Any], curves: Mapping[str, list[dict[str, float]]]) -> list[dict[str, str]]:
    """Return the table of a stage: first and last value of each loss, then every recorded figure.

    Args:
        metrics: values that the stage recorded.
        curves: title -> logged points, as from ``loss_histories``.
    """
    rows = [
        {"figure": f"{words(title)}: {words(name)}".removeprefix(": "), "value": f"{show(first)} \u2192 {show(last)}"}
        for title, points in curves.items()
        for name, (first, last) in _ends(points).items()
    ]
    names = metrics.get("metric_names", {})
    others = {name: value for name, value in metrics.items() if name != "metric_names"}
    rows += [{"figure": _figure(name, names), "value": _spelt(value)} for name, value in figures(others)]
    return rows[:MOST_ROWS]


def _figure(path: str, names: Mapping[str, str]) -> str:
    """Return the name of a figure for people; that of a score says what it measures."""
    *groups, last = path.split(".")
    return ": ".join([*map(words, groups), names.get(last) or words(last)])


def loss_histories(folder: Path) -> dict[str, list[dict[str, float]]]:
    """Read the loss curve of each training of a stage, by title; the title is "" if there is only one."""
    curves = {
        (path.name.removesuffix("_history.json"), learner): history["curve"]
        for path in sorted(folder.glob("*_history.json"))
        for learner, history in json.loads(path.read_text(encoding="utf-8")).items()
    }
    several = len(curves) > 1
    return {
        " / ".join(part for part in names if part != "training") * several: curve for names, curve in curves.items()
    }


def result_rows(results: list[dict[str, Any]], names: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the rows of the run's result table, heading -> cell: teacher, students, baselines.

    Args:
        results: entries of ``results.json``.
        names: metric -> name, for metrics whose key does not say what they measure.
    """
    metrics = list(results[0]["metrics"])
    headings = score_headings(metrics, names)
    rows = []
    for row in results:
        cells = plain_cells(row, metrics)
        times = {"ms a batch": cells.milliseconds, "speed": cells.speed} if "latency_ms" in row else {}
        rows.append(
            {
                "model": row["name"],
                "role": row["role"],
                **dict(zip(headings, cells.scores, strict=True)),
                "95% interval": cells.interval,
                "of the teacher": cells.retention,
                "parameters": cells.parameters,
                **times,
            }
        )
    return rows


def links(artifact: Artifact, state: str, base_url: str | None) -> str:
    """Write Markdown with an artifact's name, how it was made, and links to its files.

    Args:
        artifact: the stage's artifact.
        state: "reused", "resumed" or "completed".
        base_url: address under which the store's folder is served; None shows paths instead of links.
    """
    manifest = artifact.manifest
    base = f"{base_url.rstrip('/')}/{artifact.ref}/" if base_url else None
    finished = datetime.fromisoformat(manifest.timings.finished)
    made = f"made {finished:%Y-%m-%d %H:%M:%S %Z}, took {duration(manifest.timings.seconds)}"
    lines = [
        f"## {artifact.ref}",
        f"**{state.capitalize()}**; {made}.",
        f"Folder: [{base}]({base})" if base else f"Folder: `{artifact.path.resolve()}`",
    ]
    if "report.html" in manifest.files:
        place = f"[report.html]({base}report.html)" if base else f"`{artifact.path.resolve() / 'report.html'}`"
        lines.append(f"Report: {place}")
    if isinstance(manifest.metrics.get("summary"), str):
        lines.append(f"> {manifest.metrics['summary']}")
    names = sorted(manifest.files)[:MOST_FILES]
    files = [
        f"- {f'[{name}]({base}{name})' if base else f'`{name}`'}, {size(manifest.files[name].size)}" for name in names
    ]
    if len(manifest.files) > len(names):
        files.append(f"- and {len(manifest.files) - len(names)} more")
    lines.append("\n".join(["### Files", "", *files]))
    if manifest.inputs:
        inputs = [
            f"- {role}: {source.ref or source.identity or source.digest[:12]}"
            for role, source in sorted(manifest.inputs.items())
        ]
        lines.append("\n".join(["### Made from", "", *inputs]))
    return "\n\n".join(lines)


def failure(stage: str, reason: str) -> str:
    """Write Markdown that says why a stage has no artifact, and that finished stages are kept."""
    quoted = "\n".join(f"> {line}" for line in reason.splitlines())
    again = "What is finished is kept: the next run goes on from there."
    return f"## {words(stage)} failed\n\n{quoted}\n\n{again}"


def _ends(points: list[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """Return the first and last value of each loss."""
    names = [name for name in (points[-1] if points else {}) if name not in {"step", "learning_rate"}]
    return {name: (points[0].get(name, points[-1][name]), points[-1][name]) for name in names}


def _spelt(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return show(value) if isinstance(value, int | float | str) else json.dumps(value)
