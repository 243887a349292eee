"""The page of a comparison: a table of runs with several seeds, and a forest plot of their differences."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from pipeline.report import formats
from pipeline.report.page import fill
from pipeline.report.svg import INK, MUTED, RULE, SERIES, style, to_svg

SURE = 0.05  # a corrected p below it is printed bold


def comparison_page(title: str, found: Mapping[str, Any]) -> str:
    """Return the whole page as text in UTF-8; the same results give the same text.

    Args:
        title: name of the task.
        found: ``comparison.json``.
    """
    drawing = forest(found["results"], found["compared_with"])
    return fill("comparison.html", title=title, found=found, forest=drawing, sure=SURE)


def forest(results: Sequence[Mapping[str, Any]], compared_with: str) -> Markup | None:
    """Draw each method's difference to the first one with its interval; None where there is nothing to compare.

    Args:
        results: rows of ``comparison.json``.
        compared_with: name of the first one.
    """
    rows = [row for row in results if row["difference"]]
    if not rows:
        return None
    with style():
        figure = Figure(figsize=(5.5, 0.55 + 0.24 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        axes.axvline(0, color=INK, linewidth=0.8)
        for place, row in enumerate(rows):
            difference = row["difference"]
            low, high = difference["interval"]
            colour = SERIES[0] if difference["p"] < SURE else MUTED
            axes.plot([low, high], [place, place], color=colour, linewidth=1.6)
            axes.plot([difference["mean"]], [place], marker="s", color=colour, markersize=5)
        axes.set_yticks(range(len(rows)), [formats.shortened(row["name"]) for row in rows], color=INK)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.grid(visible=True, axis="x", color=RULE, linewidth=0.6)
        axes.set_xlabel(f"difference to {formats.shortened(compared_with)}")
        text = "; ".join(f"{row['name']} {formats.signed(row['difference']['mean'])}" for row in rows)
        return to_svg(figure, "forest", f"Differences to {compared_with}: {text}")
