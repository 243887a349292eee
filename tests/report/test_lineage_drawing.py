from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.report.content import StageRow
from pipeline.report.lineage import HEIGHT, layered, lineage_svg, needed


@st.composite
def graphs(draw):
    """Refs in an order in which each is made from earlier ones."""
    size = draw(st.integers(1, 9))
    pairs = [(f"s{a}", f"s{b}") for b in range(size) for a in range(b)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return [f"s{index}" for index in range(size)], edges


def reachable(edges):
    closure = set(edges)
    while more := {(a, d) for a, b in closure for c, d in closure if b == c} - closure:
        closure |= more
    return closure


@given(graphs())
def test_every_stage_is_below_what_it_was_made_from(graph):
    nodes, edges = graph
    layers = layered(nodes, edges)
    assert all(layers[start] < layers[end] for start, end in edges)
    assert set(layers) == set(nodes)


@given(graphs())
def test_leaving_out_what_follows_loses_nothing(graph):
    _, edges = graph
    fewer = needed(edges)
    assert reachable(fewer) == reachable(edges)
    assert all((start, end) not in reachable(set(fewer) - {(start, end)}) for start, end in fewer)


@settings(deadline=None, max_examples=40)
@given(graphs())
def test_no_two_boxes_overlap_and_all_are_in_view(graph):
    nodes, edges = graph
    rows = [StageRow(n, n, "f", "completed", 1.0, [a for a, b in edges if b == n]) for n in nodes]
    drawing = ET.fromstring(lineage_svg(rows))  # noqa: S314 - our own drawing
    _, _, width, height = map(float, drawing.attrib["viewBox"].split())
    boxes = [{key: float(rect.attrib[key]) for key in ("x", "y", "width")} for rect in drawing.iter("rect")]
    assert len(boxes) == len(nodes)
    for index, box in enumerate(boxes):
        assert box["x"] >= -2
        assert box["x"] + box["width"] <= width
        assert box["y"] + HEIGHT <= height
        for other in boxes[:index]:
            assert box["y"] != other["y"] or abs(box["x"] - other["x"]) >= box["width"]
    assert len(list(drawing.iter("path"))) == len(needed(edges))


def test_an_input_made_elsewhere_is_not_drawn():
    drawing = lineage_svg([StageRow("teacher", "teacher/v1", "f", "reused", None, ["pretrain/v9"])])
    assert "v1 \u00b7 reused" in drawing
    assert "<path" not in drawing


def test_no_stage_is_no_drawing():
    assert lineage_svg([]) == ""
