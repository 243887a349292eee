"""The drawing of the lineage: stages in layers, each below everything it was made from.

A layered drawing of a directed graph (Sugiyama, Tagawa, Toda 1981): an edge that skips layers passes through a narrow
empty place in each, places are ordered by the positions of their neighbours in other layers, and boxes are moved as
near to these as possible.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

from pipeline.report.content import StageRow
from pipeline.report.formats import duration, printable, shortened
from pipeline.report.spacing import keep_apart

BOX, WAY, GAP = 176.0, 12.0, 14.0
HEIGHT, PITCH = 40.0, 68.0
SWEEPS = 8

Edges = list[tuple[str, str]]


class Place(NamedTuple):
    """The place of a stage in a layer (start and end are its reference), or of an edge that passes through it."""

    start: str
    end: str
    layer: int

    @property
    def width(self) -> float:
        """Width of a box, or of the narrow way of an edge."""
        return BOX if self.start == self.end else WAY


def lineage_svg(stages: Sequence[StageRow]) -> Markup:
    """Draw the stages and their inputs as an inline ``<svg>``.

    Inputs from other runs are not drawn, nor is an edge that follows from others: a stage made from the teacher's
    logits was made from the teacher.
    """
    if not stages:
        return Markup()
    known = {row.ref: row for row in stages}
    edges = [(ref, row.ref) for row in known.values() for ref in dict.fromkeys(row.inputs) if ref in known]
    edges = needed([(start, end) for start, end in edges if start != end])
    layers = layered(list(known), edges)
    chains = [_chain(start, end, layers) for start, end in edges]
    centres = _centres(_places(layers, chains), chains)
    boxes = {place.end: x for place, x in centres.items() if place.start == place.end}
    left = min(x - place.width / 2 for place, x in centres.items())
    width = max(x + place.width / 2 for place, x in centres.items()) - left
    height = max(layers.values()) * PITCH + HEIGHT
    parts = [_edge([(centres[place] - left, place.layer) for place in chain], known[chain[-1].end]) for chain in chains]
    parts += [_box(row, boxes[ref] - left, layers[ref] * PITCH) for ref, row in known.items()]
    return Markup(
        '<svg viewBox="-2 -2 {} {}" role="img" aria-label="{}" class="lineage" '
        'style="min-width:{}px;max-width:{}px">{}</svg>'
    ).format(f"{width + 4:.0f}", f"{height + 4:.0f}", "What each stage was made from; the table says more",
             f"{0.8 * width:.0f}", f"{1.15 * width:.0f}", Markup("").join(parts))  # fmt: skip


def needed(edges: Edges) -> Edges:
    """Return the edges that no longer path replaces (the transitive reduction)."""
    readers: dict[str, set[str]] = {}
    for start, end in edges:
        readers.setdefault(start, set()).add(end)
    reach = {node: _below(node, readers) for node in {end for _, end in edges}}
    return [(a, b) for a, b in edges if not any(b in reach[other] for other in readers[a] - {b})]


def _below(node: str, readers: Mapping[str, set[str]]) -> set[str]:
    below: set[str] = set()
    pending = [node]
    while pending:
        new = readers.get(pending.pop(), set()) - below
        below |= new
        pending += new
    return below


def layered(nodes: Sequence[str], edges: Edges) -> dict[str, int]:
    """Return node -> layer: below all its inputs, and as low as its first reader allows."""
    layer = dict.fromkeys(nodes, 0)
    for _ in nodes:  # the longest path has fewer edges than there are nodes
        for start, end in edges:
            layer[end] = min(max(layer[end], layer[start] + 1), len(nodes))
    for _ in nodes:
        for node in nodes:
            readers = [layer[end] for start, end in edges if start == node]
            if readers:
                layer[node] = max(layer[node], min(readers) - 1)
    return layer


def _chain(start: str, end: str, layers: Mapping[str, int]) -> list[Place]:
    between = [Place(start, end, layer) for layer in range(layers[start] + 1, layers[end])]
    return [Place(start, start, layers[start]), *between, Place(end, end, layers[end])]


def _places(layers: Mapping[str, int], chains: Sequence[Sequence[Place]]) -> list[list[Place]]:
    """Return the layers, each a list of places from left to right, ordered so that few edges cross."""
    boxes = [Place(ref, ref, layer) for ref, layer in layers.items()]
    places = dict.fromkeys([*boxes, *(place for chain in chains for place in chain)])
    rows: list[list[Place]] = [[] for _ in range(max(layers.values()) + 1)]
    for place in places:
        rows[place.layer].append(place)
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        rank = {place: (index + 0.5) / len(row) for row in rows for index, place in enumerate(row)}
        for row in rows if downwards else rows[::-1]:
            partners = {place: _partners(place, chains, above=downwards) for place in row}
            wish = {place: np.mean([rank[p] for p in partners[place]] or [rank[place]]) for place in row}
            row.sort(key=lambda place, wish=wish: float(wish[place]))  # type: ignore[misc]
            rank |= {place: (index + 0.5) / len(row) for index, place in enumerate(row)}
    return rows


def _partners(place: Place, chains: Sequence[Sequence[Place]], *, above: bool) -> list[Place]:
    pairs = ((chain[i], chain[i + 1]) for chain in chains for i in range(len(chain) - 1))
    return [upper if above else lower for upper, lower in pairs if place == (lower if above else upper)]


def _centres(rows: Sequence[Sequence[Place]], chains: Sequence[Sequence[Place]]) -> dict[Place, float]:
    """Return place -> x of its centre."""
    gaps = [[(a.width + b.width) / 2 + GAP for a, b in pairwise(row)] for row in rows]
    centres: dict[Place, float] = {}
    for row, gap in zip(rows, gaps, strict=True):
        centres |= zip(row, keep_apart(np.zeros(len(row)), gap), strict=True)
    for sweep in range(2 * SWEEPS):
        for row, gap in list(zip(rows, gaps, strict=True))[:: 1 if sweep % 2 else -1]:
            near = [_partners(p, chains, above=True) + _partners(p, chains, above=False) for p in row]
            wish = [
                float(np.mean([centres[q] for q in others] or [centres[p]]))
                for p, others in zip(row, near, strict=True)
            ]
            centres |= zip(row, keep_apart(wish, gap), strict=True)
    return centres


def _edge(points: Sequence[tuple[float, int]], reader: StageRow) -> Markup:
    (x, layer), (_, last) = points[0], points[-1]
    path = f"M{x:.0f} {layer * PITCH + HEIGHT:.0f}"
    for (before, _), (x, layer) in pairwise(points):
        start, top = (layer - 1) * PITCH + HEIGHT, layer * PITCH
        bend = (top - start) / 2
        path += f"C{before:.0f} {start + bend:.0f} {x:.0f} {top - bend:.0f} {x:.0f} {top:.0f}"
        if layer < last:
            path += f"V{top + HEIGHT:.0f}"
    return Markup('<path class="{}" d="{}"/>').format(reader.state, path)


def _box(row: StageRow, centre: float, top: float) -> Markup:
    second = f"{row.ref.rsplit('/', 1)[-1]} \u00b7 {row.state}"
    if row.seconds is not None and row.state != "reused":
        second += f" \u00b7 {duration(row.seconds)}"
    return Markup(
        '<g class="{}"><rect x="{}" y="{}" width="{}" height="{}" rx="5"/>'
        '<text x="{}" y="{}" class="name">{}</text><text x="{}" y="{}">{}</text></g>'
    ).format(row.state, f"{centre - BOX / 2:.0f}", f"{top:.0f}", f"{BOX:.0f}", f"{HEIGHT:.0f}",
             f"{centre:.0f}", f"{top + 16:.0f}", escape(printable(shortened(row.name, 22))),
             f"{centre:.0f}", f"{top + 31:.0f}", escape(printable(shortened(second, 30))))  # fmt: skip
