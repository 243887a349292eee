"""A label is a name; its index is only valid for one model or one table.

The names of a task are those of its training rows. Development labels and a fine-tuned model's outputs are matched to
them by name, never by order.
"""

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from pipeline.config.task import NUMBER, label_order, label_value
from pipeline.data.tasks.rows import LONE_SURROGATE, Rows
from pipeline.errors import DataError, ModelError

_GENERIC = re.compile(r"label_\d+", re.IGNORECASE)
_MAX_LISTED = 12


def row_label_names(rows: Rows, names: Mapping[str, str]) -> list[str]:
    """Return the label name of each row.

    Args:
        rows: rows with labels.
        names: value in the file -> label name; if empty, the value is the name.

    Raises:
        DataError: a row has no label, or one that is not in ``names``.
    """
    label_names: list[str] = []
    for index, raw in enumerate(_labels(rows)):
        missing = raw is None or (isinstance(raw, float) and math.isnan(raw))
        if not (
            missing or isinstance(raw, str | bool | int | Decimal) or (isinstance(raw, float) and math.isfinite(raw))
        ):
            kind = "not a finite number" if isinstance(raw, float) else f"a {type(raw).__name__}"
            raise DataError(
                f"{rows.place(index)} has label {raw!r:.60}, {kind}: give each row one label, a word or a number"
            )
        value = "" if missing else label_value(raw).strip()
        if LONE_SURROGATE.search(value):
            raise DataError(f"{rows.place(index)} has label {value!a}, which holds half a character: mend it")
        if not value:
            raise DataError(f"{rows.place(index)} has no label: add it, or move the row to task.unlabelled")
        if names and value not in names:
            raise DataError(
                f"{rows.place(index)} has label {value!r}, not one of {_listed(names)}: "
                "mend the row, or name the value in task.label_names"
            )
        label_names.append(names[value] if names else value)
    return label_names


def task_label_names(row_names: Sequence[str], names: Mapping[str, str], source: str) -> tuple[str, ...]:
    """Return the task's label names: those of its training rows, in the order of ``names``, else sorted.

    Numbers are sorted by size, so ``2`` comes before ``10``.

    Raises:
        DataError: every row has the same label.
    """
    distinct = set(row_names)
    if len(distinct) == 1:
        raise DataError(f"{source}: every row has label {row_names[0]!r}: a task needs at least two labels")
    if names:
        return tuple(name for name in dict.fromkeys(names.values()) if name in distinct)
    return tuple(sorted(distinct, key=label_order))


def label_indices(rows: Rows, row_names: Sequence[str], label_names: Sequence[str]) -> np.ndarray:
    """Return the index of each row's label name, (rows,), int64.

    Raises:
        DataError: a row has a name that no training row has.
    """
    index_of = {name: index for index, name in enumerate(label_names)}
    for index, name in enumerate(row_names):
        if name not in index_of:
            raise DataError(
                f"{rows.place(index)} has label {name!r}, which no training row has "
                f"({_listed(label_names)}): mend it, or add training rows with it"
            )
    return np.array([index_of[name] for name in row_names], dtype=np.int64)


def regression_labels(rows: Rows, label_range: tuple[float, float] | None) -> np.ndarray:
    """Return the label of each row as a number, (rows,), float64.

    Raises:
        DataError: a label is missing, not a number, not finite, or outside ``label_range``.
    """
    numbers = np.array([_number(raw) for raw in _labels(rows)], dtype=np.float64)
    for index, (raw, number) in enumerate(zip(_labels(rows), numbers, strict=True)):
        if not math.isfinite(number):
            label = "no label" if raw is None or raw == "" else f"label {raw!r}"
            raise DataError(f"{rows.place(index)} has {label}, but task.kind is regression: give it a finite number")
        if label_range is not None and not label_range[0] <= number <= label_range[1]:
            low, high = label_range
            raise DataError(
                f"{rows.place(index)} has label {number:g}, outside {low:g} to {high:g}: "
                "mend it, or widen task.label_range"
            )
    return numbers


def align_labels(model_id2label: Mapping[int, str], label_names: Sequence[str]) -> list[int]:
    """Return, for each of the task's label names, the index of that label in a fine-tuned model's outputs.

    Case is ignored. ``logits[:, align_labels(...)]`` are the model's logits in the order of the task.

    Args:
        model_id2label: output index -> label name of the model.
        label_names: label names of the task.

    Raises:
        ModelError: the two sets of names differ, a name occurs twice, or the model only has ``LABEL_0``...
    """
    names_of_model = {int(index): str(name) for index, name in model_id2label.items()}
    index_of = {name.casefold(): index for index, name in names_of_model.items()}
    names = [name.casefold() for name in label_names]
    if len(index_of) == len(names_of_model) and len(set(names)) == len(names) and set(names) == set(index_of):
        return [index_of[name] for name in names]
    in_order = [names_of_model[index] for index in sorted(names_of_model)]
    generic = all(_GENERIC.fullmatch(name) for name in in_order)
    fix = (
        "which is which cannot be known; give the task those names with task.label_names, or fine-tune the model"
        if generic
        else "rename the task's with task.label_names, or fine-tune the model on the task"
    )
    raise ModelError(f"the model's labels are {_listed(in_order)}, the task's {_listed(label_names)}: {fix}")


def _number(raw: object) -> float:
    """Return a label as a number; NaN if it is none."""
    if isinstance(raw, str):
        return float(raw) if re.fullmatch(NUMBER, raw.strip()) else math.nan
    try:
        return math.nan if isinstance(raw, bool) else float(raw)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _labels(rows: Rows) -> Sequence[object]:
    assert rows.labels is not None, "these rows were read with labels"  # noqa: S101
    return rows.labels


def _listed(names: Mapping[str, str] | Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(map(repr, list(names)[:_MAX_LISTED])) + more
