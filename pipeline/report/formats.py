"""Format numbers for readers of the report, the Prefect UI and the terminal."""

import re
from collections.abc import Mapping
from typing import Any

MISSING = "\u2013"
THIN = "\u202f"  # a narrow space at which no line is broken
MINUTE, HOUR = 60, 3_600
MINUS = "\u2212"
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """Replace the characters that HTML and XML do not allow."""
    return _UNPRINTABLE.sub("\ufffd", text)


def shortened(text: str, longest: int = 30) -> str:
    """Cut a text to ``longest`` characters; the last is an ellipsis if some were cut."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "\u2026"


def score(value: float | None) -> str:
    """Write a metric with three decimals."""
    return MISSING if value is None else f"{value:.3f}".replace("-", MINUS)


def signed(value: float | None) -> str:
    """Write a difference of metrics with three decimals and its sign."""
    return MISSING if value is None else f"{value:+.3f}".replace("-", MINUS)


def percent(value: float | None) -> str:
    """Write a share: 0.9824 is 98.2%."""
    return MISSING if value is None else f"{value:.1%}".replace("-", MINUS)


def times(value: float | None) -> str:
    """Write a ratio with two figures: 5.31 is 5.3 times."""
    return MISSING if value is None else f"{value:.2g}\u00d7" if value < 9.95 else f"{value:.0f}\u00d7"


def count(value: float | None) -> str:
    """Write a count: 14,500,000 is 14.5 M."""
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
    """Write a latency with three figures."""
    if value is None:
        return MISSING
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def machine(facts: Mapping[str, Any]) -> str:
    """Describe the machine of a measurement: device, processor, threads, torch."""
    threads = f"{facts['num_threads']} thread{'' if facts['num_threads'] == 1 else 's'} of {facts['cpu']}"
    where = threads if facts["device"] == "cpu" else f"{facts['device']} with {threads}"
    return f"{where} ({facts['cores']} core{'' if facts['cores'] == 1 else 's'}), torch {facts['torch']}"


def speed(value: tuple[float, float, float] | None) -> str:
    """Write how many times faster a model is, with the interval."""
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


def judged(rows: int, split: str) -> str:
    """What models were judged on: 1,821 test rows; of dev rows, that they chose checkpoints too."""
    return f"{rows:,} {split} rows" if split == "test" else f"{rows:,} {split} rows, which chose the checkpoints too"


def sentence(text: str) -> str:
    """Write a message as a sentence: with a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def words(name: str) -> str:
    """Write an identifier as words: pearson_spearman is pearson spearman; a text with spaces stays as it is."""
    return name if " " in name and "/" not in name else name.replace("_", " ")


def _scaled(value: float, units: tuple[str, ...]) -> str:
    step = 0
    while abs(value) >= 999.5 and step < len(units) - 1:
        value, step = value / 1000, step + 1
    return f"{value:.0f}{units[step]}" if step == 0 or abs(value) >= 99.95 else f"{value:.3g}{units[step]}"
