"""Convert a drawing of the report to a complete SVG file with its own colours, for use outside the page."""

import base64
from xml.etree import ElementTree as ET

PAPER = {
    "--ink": "#1f2328",
    "--muted": "#59636e",
    "--rule": "#d1d9e0",
    "--series-1": "#0969da",
    "--series-2": "#bc4c00",
    "--series-3": "#1a7f37",
    "--series-4": "#8250df",
    "--series-5": "#bf3989",
    "--series-6": "#7d4e00",
}
MARGIN = 6.0


def picture(drawing: str) -> str:
    """Convert an inline ``<svg>`` of the report to a complete SVG file, dark on white.

    Args:
        drawing: a drawing of ``pipeline.report.plots``.
    """
    root = ET.fromstring(drawing)  # noqa: S314 - our own drawing
    left, top, width, height = (float(part) for part in root.attrib["viewBox"].split())
    box = (left - MARGIN, top - MARGIN, width + 2 * MARGIN, height + 2 * MARGIN)
    description = root.attrib.get("aria-label", "")
    root.attrib = {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": " ".join(f"{part:g}" for part in box),
        "width": f"{2 * box[2]:.0f}",
        "height": f"{2 * box[3]:.0f}",
    }
    names = ("x", "y", "width", "height")
    paper = ET.Element("rect", dict(zip(names, (f"{part:g}" for part in box), strict=True)) | {"fill": "white"})
    title, sheet = ET.Element("title"), ET.Element("style")
    title.text = description
    colours = "".join(f"{name}: {colour}; " for name, colour in PAPER.items())
    sheet.text = f":root {{ {colours}--sans: system-ui, 'DejaVu Sans', sans-serif; }}"
    for place, element in enumerate((title, sheet, paper)):
        root.insert(place, element)
    return ET.tostring(root, encoding="unicode")


def data_url(svg: str) -> str:
    """Return a URL that contains the whole picture."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
