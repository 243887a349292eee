"""The report: one HTML file that says what was made, how good it is, what it costs and where it came from.

It holds everything it shows and asks for nothing: no script, no font, no picture from elsewhere. So it can
be kept, mailed, printed, and opened in ten years.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.report import formats
from pipeline.report.augmentation import quality_examples, quality_figures
from pipeline.report.classes import classes, majority
from pipeline.report.content import ReportData, ResultRow
from pipeline.report.lineage import lineage_svg
from pipeline.report.plots import loss_curves, metric_curves, trade_off
from pipeline.report.summary import size_ratio, speed_ratio, summarise


def render(data: ReportData) -> str:
    """The whole page, as text to be written in UTF-8; the same data give the same text."""
    environment = Environment(
        loader=PackageLoader("pipeline.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        name: getattr(formats, name)
        for name in (
            "score",
            "signed",
            "percent",
            "times",
            "speed",
            "count",
            "size",
            "milliseconds",
            "duration",
            "words",
        )
    }
    teacher = data.first("teacher")
    page = environment.get_template("template.html").render(
        data=data,
        summary=data.summary if data.summary is not None else summarise(data.results, data.main_metric),
        figures=key_figures(data),
        metrics=metric_names(data),
        has={key: any(getattr(row, key) is not None for row in data.results) for key in OPTIONAL},
        losses=loss_curves(data.curves),
        evaluations=metric_curves(
            data.evaluations, data.main_metric, teacher.metrics.get(data.main_metric) if teacher else None
        ),
        trade_off=trade_off(data),
        latency=latency_table(data.latency),
        classes=classes(shown_by_class(data), data.label_names),
        lineage=lineage_svg(data.stages),
        quality=quality_figures(data.augmentation) if data.augmentation else [],
        variants=quality_examples(data.augmentation) if data.augmentation else [],
    )
    return formats.printable(page)


OPTIONAL = ("interval", "retention", "difference", "parameters", "size_bytes", "flops", "latency_ms", "speed")


def metric_names(data: ReportData) -> list[str]:
    """The main metric, then the others in the order in which they are met."""
    return list(dict.fromkeys([data.main_metric, *(name for row in data.results for name in row.metrics)]))


def key_figures(data: ReportData) -> list[tuple[str, str]]:
    """The three figures of the best student that are set large: (figure, what it is)."""
    student = best_student(data)
    if student is None:
        return []
    teacher = data.first("teacher")
    size, speed = size_ratio(student, teacher), speed_ratio(student)
    of_teacher = f"of the teacher's {formats.words(data.main_metric)}"
    alike = majority(student) if data.main_metric == "accuracy" else None
    if alike is not None:
        of_teacher += f": {student.metrics['accuracy']:.1%}, where one answer to every row has {alike:.1%}"
    candidates = [
        (student.retention, formats.percent, of_teacher),
        (size, formats.percent, "of its parameters"),
        (speed, formats.times, "its speed"),
    ]
    return [(write(value), what) for value, write, what in candidates if value is not None]


def best_student(data: ReportData) -> ResultRow | None:
    """The student with the highest main metric."""
    students = [row for row in data.results if row.role == "student" and data.main_metric in row.metrics]
    return max(students, key=lambda row: row.metrics[data.main_metric], default=None)


def shown_by_class(data: ReportData) -> list[ResultRow]:
    """The teacher and the best student."""
    return [row for row in (data.first("teacher"), best_student(data)) if row is not None]


class LatencyCell(NamedTuple):
    """One model's time, milliseconds a batch, how many times faster than the teacher, and whether to believe it."""

    milliseconds: float
    speed: tuple[float, float, float] | None
    reliable: bool


class LatencyTable(NamedTuple):
    """Models across; a line is (batch, length, one cell a model or None)."""

    models: list[str]
    lines: list[tuple[int, int, list[LatencyCell | None]]]


def latency_table(rows: Sequence[Mapping[str, Any]]) -> LatencyTable:
    """Latency rows with the models side by side, by batch and then by length."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    found = {
        (row["batch"], row["length"], row["model"]): LatencyCell(row["milliseconds"], row["speed"], row["reliable"])
        for row in rows
    }
    return LatencyTable(
        models,
        [
            (batch, length, [found.get((batch, length, model)) for model in models])
            for batch, length in sorted({key[:2] for key in found})
        ],
    )
