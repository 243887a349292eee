"""Suspicious rows and labels of a task: some are refused, some give a warning of one sentence.

Refused are a class that is spelled in two ways, and classes that look like measurements. Each error names the values
and their rows, and each can be switched off by a configuration key.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipeline.config.task import NUMBER
from pipeline.data.tasks.rows import Rows
from pipeline.errors import DataError

MAX_LABELS_PER_ROW = 0.5  # with more labels a row, the labels are no classes that a model could learn
MAX_FRACTIONS = 20  # more labels that are numbers with a fraction are measurements; fewer may be marks
NUM_EXAMPLES = 3
MAX_OVERLAP = 0.1  # of a test split's rows that may be in the training rows


def refuse_doubles(rows: Rows, names: Sequence[str]) -> None:
    """Refuse label names that differ only in case, spaces or the spelling of a number, such as ``1`` and ``1.0``.

    Args:
        rows: the rows, for their positions.
        names: (rows,), name of each row's label.

    Raises:
        DataError: there are two such names; names both, each with its first row.
    """
    first: dict[str, str] = {}
    for name in dict.fromkeys(names):
        other = first.setdefault(_normalised(name), name)
        if other != name:
            places = " and ".join(f"{label!r} ({rows.place(names.index(label))})" for label in (other, name))
            raise DataError(
                f"labels {places} are written differently and would be two classes: write them alike, or say what "
                "each is called in task.label_names"
            )


def refuse_measurements(rows: Rows, label_names: Sequence[str]) -> None:
    """Refuse many classes that are numbers with fractions: the task is probably a regression.

    Raises:
        DataError: the labels look like measurements; names their number and some of them.
    """
    if len(label_names) <= MAX_FRACTIONS or not all(re.fullmatch(NUMBER, name) for name in label_names):
        return
    fractions = [name for name in label_names if not float(name).is_integer()]
    if fractions:
        some = ", ".join(fractions[:NUM_EXAMPLES])
        raise DataError(
            f"{rows.source} has {len(label_names)} labels that are numbers, such as {some}: set "
            "task.kind to regression, or to classification if each is a class of its own"
        )


def _normalised(name: str) -> str:
    folded = " ".join(name.casefold().split())
    return repr(float(folded)) if re.fullmatch(NUMBER, folded) else folded


def repeated_rows(splits: Mapping[str, pa.Table]) -> dict[str, dict[str, dict[str, int]]]:
    """Count the rows of each development split that students are trained on too, ignoring case and spaces.

    Args:
        splits: split -> table.

    Returns:
        Development split -> other split -> ``rows``, the number of such rows, and ``other_label``, the number of them
        for which no row with the same text there has the same label; 0 without labels.
    """
    learned = {split: _labels_of_texts(table) for split, table in splits.items() if not _scored(split)}
    learned |= {"dev": _labels_of_texts(splits["dev"])} if "test" in splits else {}
    return {
        split: {other: _count_repeated(table, known) for other, known in learned.items() if other != split}
        for split, table in splits.items()
        if _scored(split)
    }


def refuse_overlap(splits: Mapping[str, pa.Table]) -> None:
    """Refuse a test split of which many rows are trained on.

    Raises:
        DataError: more than a tenth of its rows stand in the training rows too; says how many.
    """
    if "test" in splits:
        rows, of = repeated_rows(splits)["test"]["train"]["rows"], splits["test"].num_rows
        if rows > MAX_OVERLAP * of:
            raise DataError(
                f"{rows:,} of {of:,} test rows stand in the training rows too, so they judge nothing: take them out of "
                "one of the two"
            )


def doubts(splits: Mapping[str, pa.Table], label_names: tuple[str, ...]) -> list[str]:
    """Return the warnings, worst first."""
    return [*_leaks(splits), *_scattered(splits["train"], label_names)]


def quoted(sources: Iterable[Rows]) -> list[str]:
    """Return one warning for each tab-separated file whose texts were quoted by a spreadsheet or pandas."""
    files = [(rows.source, list(filter(_is_quoted, rows.texts))) for rows in sources if rows.source.endswith(".tsv")]
    return [
        f"{len(texts):,} texts of {file} are quoted, such as {texts[0]:.60}: .tsv is read without "
        "quoting, so the quotation marks are part of the text; save it as .csv"
        for file, texts in files
        if texts
    ]


def _scored(split: str) -> bool:
    """Return whether models are scored on a split."""
    return split.startswith(("dev", "test"))


def _is_quoted(text: str) -> bool:
    """Return whether a text is in quotation marks and has doubled ones inside; outer ones alone may be its own."""
    inside = text[1:-1]
    return text[:1] == text[-1:] == '"' and '""' in inside and '"' not in inside.replace('""', "")


def _leaks(splits: Mapping[str, pa.Table]) -> list[str]:
    warnings = []
    for split, repeated in repeated_rows(splits).items():
        rows, other = repeated["train"]["rows"], repeated["train"]["other_label"]
        if rows:
            differing = f", {other} of them with another label" if other else ""
            warnings.append(
                f"{rows:,} of {splits[split].num_rows:,} {split} rows stand in the training rows too{differing}: "
                "their scores measure memory; take them out of one of the two"
            )
        both = repeated.get("dev", {"rows": 0})["rows"]
        if both:
            warnings.append(
                f"{both:,} of {splits[split].num_rows:,} {split} rows stand in the dev rows too, which chose the "
                "checkpoints; take them out of one of the two"
            )
    return warnings


def _scattered(train: pa.Table, label_names: tuple[str, ...]) -> list[str]:
    if len(label_names) <= max(2, MAX_LABELS_PER_ROW * train.num_rows):
        return []
    some = ", ".join(map(repr, label_names[:3]))
    there = f"the task has {len(label_names):,} labels on {train.num_rows:,} training rows ({some} and so on)"
    return [f"{there}: most are seen once or never; name another label column"]


def _count_repeated(table: pa.Table, known: Mapping[tuple[str, ...], set[Any]]) -> dict[str, int]:
    rows = other = 0
    for text, label in zip(_texts(table), table.column("label").to_pylist(), strict=True):
        if text in known:
            rows += 1
            labels = known[text] - {None}
            other += bool(labels) and label is not None and label not in labels
    return {"rows": rows, "other_label": other}


def _labels_of_texts(table: pa.Table) -> dict[tuple[str, ...], set[Any]]:
    labels: dict[tuple[str, ...], set[Any]] = {}
    for text, label in zip(_texts(table), table.column("label").to_pylist(), strict=True):
        labels.setdefault(text, set()).add(label)
    return labels


def _texts(table: pa.Table) -> list[tuple[str, ...]]:
    names = [name for name in ("text", "text_pair") if name in table.column_names]
    columns = [[" ".join(text.casefold().split()) for text in table.column(name).to_pylist()] for name in names]
    return list(zip(*columns, strict=True))
