"""Warnings about a task's rows, one sentence each, for problems that do not prevent a run."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from pipeline.data.tasks.rows import Rows

ALL_DIFFERENT = 0.5
"""More labels a row than this are no classes that anything could be learned of."""


def repeated_rows(splits: Mapping[str, pa.Table]) -> dict[str, dict[str, dict[str, int]]]:
    """Count the rows of each development split that students are trained on too, ignoring case and spaces.

    Args:
        splits: split -> table.

    Returns:
        Development split -> other split -> ``rows``, the number of such rows, and ``other_label``, the number of them
        for which no row with the same text there has the same label; 0 without labels.
    """
    learned = {split: _labels_of_texts(table) for split, table in splits.items() if not split.startswith("dev")}
    return {
        split: {other: _found(table, known) for other, known in learned.items()}
        for split, table in splits.items()
        if split.startswith("dev")
    }


def doubts(splits: Mapping[str, pa.Table], label_names: tuple[str, ...]) -> list[str]:
    """Return the warnings, worst first."""
    return [*_leaks(splits), *_scattered(splits["train"], label_names)]


def quoted(sources: Iterable[Rows]) -> list[str]:
    """Return one warning for each tab-separated file whose texts were quoted by a spreadsheet or pandas."""
    said = []
    for rows in sources:
        found = [text for text in rows.texts if _is_quoted(text)] if rows.source.endswith(".tsv") else []
        if found:
            said.append(
                f"{len(found):,} texts of {rows.source} are quoted, such as {found[0]:.60}: .tsv is read without "
                "quoting, so the quotation marks are part of the text; save it as .csv"
            )
    return said


def _is_quoted(text: str) -> bool:
    """Return whether a text is in quotation marks and has doubled ones inside; outer ones alone may be its own."""
    inside = text[1:-1]
    return text[:1] == text[-1:] == '"' and '""' in inside and '"' not in inside.replace('""', "")


def _leaks(splits: Mapping[str, pa.Table]) -> list[str]:
    said = []
    for split, found in repeated_rows(splits).items():
        rows, other = found["train"]["rows"], found["train"]["other_label"]
        if rows:
            differing = f", {other} of them with another label" if other else ""
            said.append(
                f"{rows:,} of {splits[split].num_rows:,} {split} rows stand in the training rows too{differing}: "
                "their scores measure memory; take them out of one of the two"
            )
    return said


def _scattered(train: pa.Table, label_names: tuple[str, ...]) -> list[str]:
    if len(label_names) <= max(2, ALL_DIFFERENT * train.num_rows):
        return []
    some = ", ".join(map(repr, label_names[:3]))
    there = f"the task has {len(label_names):,} labels on {train.num_rows:,} training rows ({some} and so on)"
    return [f"{there}: most are seen once or never; name another label column"]


def _found(table: pa.Table, known: Mapping[tuple[str, ...], set[Any]]) -> dict[str, int]:
    rows = other = 0
    for text, label in zip(_texts(table), table.column("label").to_pylist(), strict=True):
        if text in known:
            rows += 1
            labels = known[text] - {None}
            other += bool(labels) and label is not None and label not in labels
    return {"rows": rows, "other_label": other}


def _labels_of_texts(table: pa.Table) -> dict[tuple[str, ...], set[Any]]:
    found: dict[tuple[str, ...], set[Any]] = {}
    for text, label in zip(_texts(table), table.column("label").to_pylist(), strict=True):
        found.setdefault(text, set()).add(label)
    return found


def _texts(table: pa.Table) -> list[tuple[str, ...]]:
    names = [name for name in ("text", "text_pair") if name in table.column_names]
    columns = [[" ".join(text.casefold().split()) for text in table.column(name).to_pylist()] for name in names]
    return list(zip(*columns, strict=True))
