"""Labels that are not what they seem: one class written twice, and numbers that are no classes.

Each is refused with the values and where they stand, and each has a key by which a user says that it is meant.
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
    """Refuse names that differ in case, spaces or the writing of a number alone: ``1`` and ``1.0``.

    Args:
        rows: where the labels stand.
        found: the name of each row's label.

    Raises:
        DataError: names both, each with its first row.
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
    """Refuse classes that are numbers with fractions, and many: a regression that nobody asked for.

    Raises:
        DataError: says how many there are, and some of them.
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
