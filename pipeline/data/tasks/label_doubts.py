"""Refuse suspicious labels: one class spelled in two ways, and classes that look like measurements.

Each error names the values and their rows, and each can be switched off by a configuration key.
"""

import re
from collections.abc import Sequence

from pipeline.config.task import NUMBER
from pipeline.data.tasks.rows import Rows
from pipeline.errors import DataError

SHOWN = 3
MOST_FRACTIONS = 20
"""More labels than this that are numbers with a fraction are measurements; fewer may be marks."""


def refuse_doubles(rows: Rows, found: Sequence[str]) -> None:
    """Refuse label names that differ only in case, spaces or the spelling of a number, such as ``1`` and ``1.0``.

    Args:
        rows: the rows, for their positions.
        found: (rows,), name of each row's label.

    Raises:
        DataError: there are two such names; names both, each with its first row.
    """
    first: dict[str, str] = {}
    for name in dict.fromkeys(found):
        other = first.setdefault(_alike(name), name)
        if other != name:
            places = " and ".join(f"{each!r} ({rows.place(found.index(each))})" for each in (other, name))
            raise DataError(
                f"labels {places} are written differently and would be two classes: write them alike, or say what "
                "each is called in task.label_names"
            )


def refuse_measurements(rows: Rows, label_names: Sequence[str]) -> None:
    """Refuse many classes that are numbers with fractions: the task is probably a regression.

    Raises:
        DataError: the labels look like measurements; names their number and some of them.
    """
    if len(label_names) <= MOST_FRACTIONS or not all(re.fullmatch(NUMBER, name) for name in label_names):
        return
    fractions = [name for name in label_names if not float(name).is_integer()]
    if fractions:
        some = ", ".join(fractions[:SHOWN])
        raise DataError(
            f"{rows.source} has {len(label_names)} labels that are numbers, such as {some}: set "
            "task.kind to regression, or to classification if each is a class of its own"
        )


def _alike(name: str) -> str:
    folded = " ".join(name.casefold().split())
    return repr(float(folded)) if re.fullmatch(NUMBER, folded) else folded
