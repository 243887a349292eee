"""The cells of the result table as text, for the terminal, the Prefect UI and the model card.

Each of these chooses its columns and headings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.report.content import ResultRow
from pipeline.report.formats import count, milliseconds, percent, score, speed, words

UNRELIABLE = "not measured reliably"


@dataclass(frozen=True)
class ResultCells:
    """One model's figures as text.

    Attributes:
        scores: one cell a metric, in the order of the metrics.
        interval: confidence interval of the main metric.
        retention: the main metric as a share of the teacher's.
        parameters: number of parameters.
        milliseconds: latency of one batch; empty for a model that was not timed.
        speed: how many times faster than the teacher, with its interval.
    """

    scores: tuple[str, ...]
    interval: str
    retention: str
    parameters: str
    milliseconds: str = ""
    speed: str = ""


def score_headings(metrics: Sequence[str], names: Mapping[str, str]) -> list[str]:
    """Return the headings of the score columns.

    Args:
        metrics: keys of the metrics, such as ``accuracy``.
        names: metric -> name, for metrics whose key does not say what they measure.
    """
    return [names.get(metric) or words(metric) for metric in metrics]


def plain_cells(row: Mapping[str, Any], metrics: Sequence[str], *, between: str = " to ") -> ResultCells:
    """Write one result in full figures; a missing figure is an empty cell.

    Args:
        row: one entry of ``results.json``.
        metrics: keys of the metrics to show.
        between: text between the ends of an interval.
    """
    latency = row.get("latency_ms")
    faster = ""
    if latency is not None and row["speed"]:
        faster = speed(row["speed"]) if row["latency_reliable"] else UNRELIABLE
    return ResultCells(
        scores=tuple("" if value is None else f"{value:.3f}" for value in map(row["metrics"].get, metrics)),
        interval=between.join(f"{end:.3f}" for end in row.get("interval") or ()),
        retention="" if row.get("retention") is None else f"{row['retention']:.1%}",
        parameters=f"{row['parameters']:,}" if row.get("parameters") else "",
        milliseconds="" if latency is None else f"{latency:.1f}",
        speed=faster,
    )


def short_cells(row: ResultRow, metrics: Sequence[str]) -> ResultCells:
    """Write one result in three figures and a unit, as the report does; a missing figure is a dash.

    Args:
        row: one result.
        metrics: keys of the metrics to show.
    """
    reliable = row.latency_reliable or row.latency_ms is None
    return ResultCells(
        scores=tuple(score(row.metrics.get(metric)) for metric in metrics),
        interval=f"{score(row.interval[0])} to {score(row.interval[1])}" if row.interval else score(None),
        retention=percent(row.retention),
        parameters=count(row.parameters),
        milliseconds=milliseconds(row.latency_ms),
        speed=speed(row.speed) if reliable else UNRELIABLE,
    )
