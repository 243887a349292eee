"""Convert a drawing to inline SVG in the colours of the page's style sheet; equal data give equal bytes.

The drawing has placeholder colours. Each is replaced by the page's variable of the same meaning, so that the drawing
fits light and dark pages and print. Text stays text, in the page's typeface.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree import ElementTree as ET

from markupsafe import Markup
from matplotlib import style as mpl_style
from matplotlib.figure import Figure

INK, MUTED, RULE = "#010101", "#020202", "#030303"
SERIES = ("#0a0101", "#0a0202", "#0a0303", "#0a0404", "#0a0505", "#0a0606")
_VARIABLES = {INK: "--ink", MUTED: "--muted", RULE: "--rule"} | {
    colour: f"--series-{index + 1}" for index, colour in enumerate(SERIES)
}
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "text.parse_math": False,  # a name with a dollar sign is a name
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "xtick.minor.size": 0,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "path.simplify_threshold": 0.3,
}
_NAMESPACE = "{http://www.w3.org/2000/svg}"
_REMOVED = {f"{_NAMESPACE}metadata", f"{_NAMESPACE}style"}  # a style sheet would apply to the whole page
_HREF = "{http://www.w3.org/1999/xlink}href"


@contextmanager
def style() -> Iterator[None]:
    """Use the drawing style in this block."""
    with mpl_style.context(["default", _STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the reader's typeface has it
        yield


def to_svg(figure: Figure, name: str, description: str) -> Markup:
    """Convert a figure to an inline ``<svg>``; call it inside ``style()``.

    Args:
        figure: drawn with the placeholder colours above.
        name: unique on the page; identifiers inside the drawing start with it.
        description: text for readers who cannot see the drawing.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    root = ET.fromstring(buffer.getvalue())  # noqa: S314 - our own drawing
    width = float(root.attrib["viewBox"].split()[2])
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in _REMOVED:
                parent.remove(child)
    values = (value for element in root.iter() for key, value in element.attrib.items() if key != "id")
    referenced = set(re.findall(r"#([\w.-]+)", " ".join(values)))
    for element in root.iter():
        element.tag = element.tag.removeprefix(_NAMESPACE)
        element.attrib = _rewritten(element.attrib, name, referenced)
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": description,
        "style": f"max-width:{1.75 * width:.0f}px",
    }
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - escaped by the XML writer


def _rewritten(attributes: dict[str, str], name: str, referenced: set[str]) -> dict[str, str]:
    kept = {}
    for key, value in attributes.items():
        if key == "id":
            if value in referenced:
                kept["id"] = f"{name}-{value}"
        elif key == _HREF:
            kept["href"] = f"#{name}-{value.removeprefix('#')}"
        elif key == "style":
            kept["style"] = _themed(value)
        else:
            # a hundredth of a point is fine enough
            kept[key] = re.sub(r"(\.\d\d)\d+", r"\1", value.replace("url(#", f"url(#{name}-"))
    return kept


def _themed(declarations: str) -> str:
    themed = re.sub(
        r"#[0-9a-f]{6}",
        lambda match: f"var({_VARIABLES[match[0]]})" if match[0] in _VARIABLES else match[0],
        declarations,
    )
    return re.sub(r"(font: [^;']*?px) [^;]*", r"\1 var(--sans)", themed)
