"""The drawings of a report: functions from numbers to inline SVG, with labels beside the lines.

Long logs are averaged to the points that a drawing can show. A colour has one meaning on the whole page.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from pipeline.report.content import ReportData, ResultRow
from pipeline.report.formats import count, printable, score, shortened, words
from pipeline.report.spacing import spread
from pipeline.report.svg import INK, MUTED, RULE, SERIES, style, to_svg

MOST_POINTS = 160
NOT_TERMS = ("step", "loss", "learning_rate", "lr", "epoch")
ROLE_COLOURS = {"teacher": INK, "student": SERIES[0], "label-only": SERIES[1], "ablation": SERIES[3], "tfidf": MUTED}
SMALL = (3.5, 2.15)  # inches; two or three abreast on a desk, one on a phone
LARGE = (5.0, 3.3)


def loss_curves(curves: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, Markup]:
    """Draw stage -> its loss terms over steps, on a logarithmic scale; the weighted sum in ink.

    Values that are not above zero are left out, and stages without any other value.
    """
    terms = sorted({key for points in curves.values() for point in points for key in point} - set(NOT_TERMS))
    colours = {"loss": INK} | {term: SERIES[index % len(SERIES)] for index, term in enumerate(terms)}
    drawings = {}
    for number, (stage, points) in enumerate(curves.items()):
        lines = {key: _line(points, key) for key in ("loss", *terms)}
        lines = {key: line for key, line in lines.items() if len(line)}
        # a single term with weight one is the loss itself: one line says it
        if len(lines) == 2 and all(np.allclose(line, lines["loss"]) for line in lines.values()):
            del lines["loss"]
        if lines:
            drawings[stage] = _draw_losses(stage, number, lines, colours)
    return drawings


def _line(points: Sequence[Mapping[str, float]], key: str) -> np.ndarray:
    """Return steps and positive values of one key, (n, 2), averaged in order into at most ``MOST_POINTS`` points."""
    rows = [(point["step"], point[key]) for point in points if key in point and 0 < point[key] < np.inf]
    line = np.array(rows, dtype=float).reshape(-1, 2)
    parts = np.array_split(line, MOST_POINTS) if len(line) > MOST_POINTS else []
    return np.array([part.mean(axis=0) for part in parts]) if parts else line


def _draw_losses(stage: str, number: int, lines: Mapping[str, np.ndarray], colours: Mapping[str, str]) -> Markup:
    with style():
        figure, axes = _axes(SMALL, right=0.7)
        axes.set_yscale("log")
        for key, line in lines.items():
            marker = "o" if len(line) == 1 else ""
            axes.plot(*line.T, color=colours[key], linewidth=2.0 if key == "loss" else 1.4, marker=marker)
        _label_ends(axes, {shortened(words(key), 14): (line[-1, 1], colours[key]) for key, line in lines.items()})
        _log_ticks(axes)
        _step_axis(axes)
        ends = ", ".join(f"{words(key)} from {line[0, 1]:.3g} to {line[-1, 1]:.3g}" for key, line in lines.items())
        return to_svg(figure, f"loss-{number}", printable(f"Loss terms of {stage} over steps: {ends}"))


def metric_curves(
    evaluations: Mapping[str, Sequence[tuple[float, float]]], main_metric: str, teacher: float | None
) -> dict[str, Markup]:
    """Draw stage -> the dev metric over steps, all on one scale, with the teacher's final score."""
    lines = {
        stage: line[np.isfinite(line[:, 1])]
        for stage, points in evaluations.items()
        for line in [np.array(points, dtype=float).reshape(-1, 2)]
    }
    lines = {stage: line for stage, line in lines.items() if len(line)}
    if not lines:
        return {}
    values = np.concatenate([line[:, 1] for line in lines.values()] + ([[teacher]] if teacher is not None else []))
    margin = 0.06 * (values.max() - values.min()) or 0.05
    drawings = {}
    for number, (stage, line) in enumerate(lines.items()):
        with style():
            figure, axes = _axes(SMALL, right=0.7)
            axes.set_ylim(values.min() - margin, values.max() + margin)
            best = line[line[:, 1].argmax()]
            labels = {f"best {score(best[1])}": (best[1], SERIES[0])}
            if teacher is not None:
                axes.axhline(teacher, color=MUTED, linewidth=1, linestyle=(0, (3, 2)))
                labels[f"teacher {score(teacher)}"] = (teacher, MUTED)
            axes.plot(*line.T, color=SERIES[0], marker="o", markersize=3)
            axes.plot(*best, color=SERIES[0], marker="o", markersize=6)
            _label_ends(axes, labels)
            axes.yaxis.set_major_locator(MaxNLocator(4))
            _step_axis(axes)
            text = f"Dev {words(main_metric)} of {stage}: best {best[1]:.3f} at step {best[0]:.0f}"
            drawings[stage] = to_svg(figure, f"metric-{number}", printable(text))
    return drawings


def trade_off(data: ReportData) -> Markup | None:
    """Draw every model's main metric with its interval against its latency; None if nothing was timed.

    Models that are equally fast are moved apart just enough to show all intervals.
    """
    rows = [row for row in data.results if data.main_metric in row.metrics]
    timed = [row for row in rows if row.latency_ms]
    if not timed:
        return None
    with style():
        figure, axes = _axes(LARGE, right=0.98, top=0.25)
        _limit(axes, rows, timed, data.main_metric)
        _draw_points(axes, timed, data.main_metric)
        for row in rows:
            if row.role == "tfidf":
                value = row.metrics[data.main_metric]
                axes.axhline(value, color=MUTED, linewidth=1, linestyle=(0, (3, 2)))
                axes.annotate(
                    _label(row, value), (0.995, value), (0, 3), axes.get_yaxis_transform(),
                    textcoords="offset points", ha="right", color=MUTED,
                )  # fmt: skip
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(f"latency, ms (batch {data.latency_batch}, {data.latency_length} word pieces)")
        axes.set_title(f"dev {words(data.main_metric)}", loc="left", fontsize=8.5)
        points = [f"{row.name} {row.metrics[data.main_metric]:.3f} at {row.latency_ms:.3g} ms" for row in timed]
        text = f"{words(data.main_metric)} against latency: {'; '.join(points)}"
        return to_svg(figure, "trade-off", printable(text))


def _interval(row: ResultRow, metric: str) -> tuple[float, float]:
    return row.interval or (row.metrics[metric], row.metrics[metric])


def _limit(axes: Axes, rows: Sequence[ResultRow], timed: Sequence[ResultRow], metric: str) -> None:
    """Set limits with room for every interval, and for the label at the right of the slowest model."""
    lows, highs = zip(*(_interval(row, metric) for row in rows), strict=True)
    margin = 0.1 * (max(highs) - min(lows)) or 0.05
    axes.set_ylim(min(lows) - margin, max(highs) + margin)
    latencies = [row.latency_ms or 1 for row in timed]
    fastest, slowest = min(latencies), max(latencies)
    label = max(len(_label(row, 0)) for row in timed if (row.latency_ms or 1) > 0.7 * slowest)
    taken = 0.1 + 0.05 + 0.0165 * label  # of the width: left margin, gap, characters
    span = np.log(max(slowest / fastest, 1.5)) / max(1 - taken, 0.2)
    axes.set_xscale("log")
    axes.set_xlim(fastest * np.exp(-0.1 * span), fastest * np.exp(0.9 * span))


def _draw_points(axes: Axes, rows: Sequence[ResultRow], metric: str) -> None:
    """Draw points with intervals; the labels of equally fast models are at their right, without overlap."""
    (left, right), (bottom, top) = np.log(axes.get_xlim()), axes.get_ylim()
    positions = (np.log([row.latency_ms or 1 for row in rows]) - left) / (right - left)
    across = spread(positions, 0.022)
    heights = (np.array([row.metrics[metric] for row in rows]) - bottom) / (top - bottom)
    order = np.argsort(across)
    groups = np.split(order, np.flatnonzero(np.diff(across[order]) > 0.12) + 1)
    beside = np.empty_like(across)
    for group in groups:
        beside[group] = across[group].max() + 0.022
    label_heights = np.empty_like(heights)
    # with three groups or more, a label may reach the next group's: then no two labels share a height
    for bundle in groups if len(groups) < 3 else [order]:
        label_heights[bundle] = spread(heights[bundle], 0.075)
    for row, x, y, label_x, label_y in zip(rows, across, heights, beside, label_heights, strict=True):
        colour, marker = ROLE_COLOURS[row.role], "s" if row.role == "teacher" else "o"
        here = float(np.exp(left + x * (right - left)))
        axes.vlines(here, *_interval(row, metric), color=colour, linewidth=1.4)
        axes.plot(here, row.metrics[metric], color=colour, marker=marker, markersize=6)
        axes.plot((x, label_x), (y, label_y), color=colour, linewidth=0.5, alpha=0.6, transform=axes.transAxes)
        label = _label(row, row.metrics[metric])
        axes.text(label_x + 0.006, label_y, label, transform=axes.transAxes, va="center_baseline", color=colour)


def _label(row: ResultRow, value: float) -> str:
    return f"{printable(shortened(row.name))}  {score(value)}"


def _axes(size: tuple[float, float], right: float, top: float = 0.08) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size)
    axes = figure.add_subplot()
    margins = {"left": 0.42 / size[0], "bottom": 0.42 / size[1], "top": 1 - top / size[1]}
    figure.subplots_adjust(**margins, right=right)
    return figure, axes


def _label_ends(axes: Axes, ends: Mapping[str, tuple[float, str]]) -> None:
    """Name each line at its end, to the right of the axes."""
    low, high = axes.transData.transform([(0, limit) if axes.get_xscale() == "linear" else (1, limit)
                                          for limit in axes.get_ylim()])[:, 1]  # fmt: skip
    pixels = axes.transData.transform([(1, value) for value, _ in ends.values()])[:, 1]
    heights = spread((pixels - low) / (high - low), 0.105)
    for (label, (_, colour)), height in zip(ends.items(), heights, strict=True):
        axes.text(1.03, height, label, transform=axes.transAxes, va="center_baseline", color=colour)


def _log_ticks(axes: Axes) -> None:
    low, high = axes.get_ylim()
    decades = np.log10(high / low)
    axes.yaxis.set_major_locator(LogLocator(subs=(1,) if decades > 3 else (1, 3) if decades > 1 else (1, 2, 3, 5, 7)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _step_axis(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    axes.set_xlabel("step", loc="right", labelpad=1)
    axes.spines["bottom"].set_color(RULE)
