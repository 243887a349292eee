"""Fill a page's template: everything it shows is in it, and every number is written by ``formats``."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.report import formats

FILTERS = ("score", "signed", "percent", "times", "speed", "count", "size", "milliseconds", "duration", "words")


def fill(template: str, **content: Any) -> str:
    """Return the page as text to be written in UTF-8; the same content gives the same text.

    Args:
        template: name of a file beside this one.
        content: name in the template -> value.
    """
    environment = Environment(
        loader=PackageLoader("pipeline.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {name: getattr(formats, name) for name in FILTERS}
    return formats.printable(environment.get_template(template).render(**content))
