"""How numbers are written for people, everywhere: the report, the Prefect UI, the terminal."""

import re
from collections.abc import Mapping
from typing import Any

MISSING = "\u2013"
THIN = "\u202f"  # a narrow space at which no line is broken
MINUTE, HOUR = 60, 3_600
MINUS = "\u2212"
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """The text without the characters that neither HTML nor XML may hold."""
    return _UNPRINTABLE.sub("\ufffd", text)


def shortened(text: str, longest: int = 30) -> str:
    """At most ``longest`` characters, the last an ellipsis when some were cut."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "\u2026"


def score(value: float | None) -> str:
    """A metric: three decimals."""
    return MISSING if value is None else f"{value:.3f}".replace("-", MINUS)


def signed(value: float | None) -> str:
    """A difference of metrics: three decimals and its sign."""
    return MISSING if value is None else f"{value:+.3f}".replace("-", MINUS)


def percent(value: float | None) -> str:
    """A share: 0.9824 is 98.2%."""
    return MISSING if value is None else f"{value:.1%}".replace("-", MINUS)


def times(value: float | None) -> str:
    """A ratio, two figures: 5.31 is 5.3 times."""
    return MISSING if value is None else f"{value:.2g}\u00d7" if value < 9.95 else f"{value:.0f}\u00d7"


def count(value: float | None) -> str:
    """A number of things: 14,500,000 is 14.5 M."""
    return MISSING if value is None else _scaled(value, ("", "\u202fk", "\u202fM", "\u202fG", "\u202fT"))


def size(value: float | None, *, space: str = THIN) -> str:
    """Write bytes in powers of a thousand: 0, 12 kB, 3.4 MB, 1.58 GB.

    Args:
        value: number of bytes; None gives a dash.
        space: text between number and unit.
    """
    if value is None:
        return MISSING
    for unit, worth, digits in (("TB", 1e12, 2), ("GB", 1e9, 2), ("MB", 1e6, 1), ("kB", 1e3, 0)):
        if value >= worth:
            return f"{value / worth:.{digits}f}{space}{unit}"
    return f"{value:.0f}{space}B" if value >= 1 else "0"


def milliseconds(value: float | None) -> str:
    """A latency, three figures."""
    if value is None:
        return MISSING
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def machine(found: Mapping[str, Any]) -> str:
    """Where times were measured: device, processor, threads, torch."""
    threads = f"{found['num_threads']} thread{'' if found['num_threads'] == 1 else 's'} of {found['cpu']}"
    where = threads if found["device"] == "cpu" else f"{found['device']} with {threads}"
    return f"{where} ({found['cores']} core{'' if found['cores'] == 1 else 's'}), torch {found['torch']}"


def speed(value: tuple[float, float, float] | None) -> str:
    """How many times faster, with its interval."""
    if value is None:
        return MISSING
    return f"{times(value[0])} [{value[1]:.3g}, {value[2]:.3g}]"


def duration(seconds: float | None, *, space: str = THIN) -> str:
    """Write a duration: 0.4 s, 95 s, 12 min, 2 h 10 min, 3 d 4 h.

    Args:
        seconds: None gives a dash.
        space: text between a number and its unit.
    """
    if seconds is None:
        return MISSING
    if seconds < 2 * MINUTE:
        return f"{seconds:.1f}{space}s" if seconds < 10 else f"{seconds:.0f}{space}s"
    minutes = round(seconds / MINUTE)
    if minutes < 60:
        return f"{minutes}{space}min"
    if minutes < 48 * 60:
        return f"{minutes // 60}{space}h {minutes % 60}{space}min"
    hours = round(seconds / HOUR)
    return f"{hours // 24}{space}d {hours % 24}{space}h"


def sentence(text: str) -> str:
    """What a terminal shows as a line: a capital at its beginning, a full stop at its end."""
    return f"{text[:1].upper()}{text[1:]}."


def words(name: str) -> str:
    """An identifier as it is spoken: pearson_spearman is pearson spearman; what has spaces is spoken already."""
    return name if " " in name and "/" not in name else name.replace("_", " ")


def _scaled(value: float, units: tuple[str, ...]) -> str:
    step = 0
    while abs(value) >= 999.5 and step < len(units) - 1:
        value, step = value / 1000, step + 1
    return f"{value:.0f}{units[step]}" if step == 0 or abs(value) >= 99.95 else f"{value:.3g}{units[step]}"
