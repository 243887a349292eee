"""A labelled task made from installed libraries: which library was this paragraph written for?

A row is a paragraph of a library's docstrings that does not contain the library's name. Development rows come from
many source files from which no other row comes, so that the task measures the style of a library and not the
subject of one file.
"""

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.config.task import TaskConfig
from pipeline.data.corpus.docstrings import Paragraph, paragraphs
from pipeline.errors import ConfigError, DataError

NAMES: dict[str, tuple[str, ...]] = {
    "stdlib": ("stdlib", "python", "standard library"),
    "sklearn": ("sklearn", "scikit"),
}
"""What a library calls itself, found even inside a longer word; its import name where nothing is said."""

ALIASES: dict[str, tuple[str, ...]] = {"numpy": ("np",), "pandas": ("pd",), "networkx": ("nx",), "sqlalchemy": ("sa",)}
"""What its users import it as; found as a word."""

MIN_WORDS = 14
"""A shorter paragraph, such as 'The number of nodes to return.', could be anybody's."""

DEV_SHARE = 0.15
"""Files with this share of a library's paragraphs are set aside for development, and rows drawn from them."""


class DocstringRow(NamedTuple):
    """A paragraph, its library (None for an unlabelled row), and its source file."""

    text: str
    label: str | None
    file: str


class DocstringTask(NamedTuple):
    """Rows in random order, with equally many rows of each label in ``train`` and in ``dev``.

    ``dev`` shares no source file with ``train`` or ``unlabelled``, and no text occurs twice.
    """

    label_names: tuple[str, ...]
    train: list[DocstringRow]
    dev: list[DocstringRow]
    unlabelled: list[DocstringRow]


def docstring_counts(config: TaskConfig) -> tuple[int, int, int]:
    """Return the numbers of training rows, development rows and unlabelled rows to draw.

    Raises:
        ConfigError: one of the numbers is not configured.
    """
    train_rows, dev_rows, unlabelled_rows = config.train_rows, config.dev_rows, config.unlabelled_rows or 0
    if train_rows is None or dev_rows is None or unlabelled_rows == "rest":
        raise ConfigError(
            "task.packages takes as many rows as are asked for: give numbers for task.train_rows "
            f"({train_rows}), dev_rows ({dev_rows}) and unlabelled_rows ({unlabelled_rows})"
        )
    return train_rows, dev_rows, unlabelled_rows


def docstring_rows(
    packages: Sequence[str], seed: int, train_rows: int, dev_rows: int, unlabelled_rows: int
) -> DocstringTask:
    """Draw the task from the installed packages; the same versions and seed give the same rows.

    Args:
        packages: names of the packages, which are the labels; at least two.
        seed: seed of the draw.
        train_rows: number of training rows; rounded down to equally many for each label.
        dev_rows: number of development rows, rounded likewise.
        unlabelled_rows: number of rows without a label, from files that no development row comes from.

    Raises:
        DataError: a package is not installed, or there is less text than asked for.
    """
    labels, num_train, num_dev = rows_of_each(packages, train_rows, dev_rows)
    train: list[DocstringRow] = []
    dev: list[DocstringRow] = []
    rest: list[DocstringRow] = []
    for label, of_label in zip(labels, _distinct(labels), strict=True):
        rng = random.Random(f"{seed} {label}")  # noqa: S311 - a draw, not a secret
        of_dev, others = _split(of_label, num_dev, rng)
        if len(of_dev) < num_dev or len(others) < num_train:
            raise DataError(
                f"{label} has {len(of_label)} paragraphs, too few for {num_train} rows to train and "
                f"{num_dev} to evaluate: ask for fewer rows, or leave this library out"
            )
        rng.shuffle(others)
        dev += of_dev
        train += others[:num_train]
        rest += others[num_train:]
    if len(rest) < unlabelled_rows:
        raise DataError(f"unlabelled_rows is {unlabelled_rows}, {len(rest)} are left: ask for fewer")
    rng = random.Random(seed)  # noqa: S311
    for rows in (train, dev, rest):
        rng.shuffle(rows)
    return DocstringTask(labels, train, dev, [row._replace(label=None) for row in rest[:unlabelled_rows]])


def rows_of_each(packages: Sequence[str], train_rows: int, dev_rows: int) -> tuple[tuple[str, ...], int, int]:
    """Return the labels, and how many training and development rows are drawn for each.

    Raises:
        DataError: there are fewer than two labels, or fewer rows than labels.
    """
    labels = tuple(dict.fromkeys(packages))
    if len(labels) < 2:
        raise DataError(f"packages: {list(labels)} is one label only: name at least two libraries")
    num_train, num_dev = train_rows // len(labels), dev_rows // len(labels)
    if not (num_train and num_dev):
        raise DataError(
            f"train_rows {train_rows} and dev_rows {dev_rows} leave a library without rows: "
            f"ask for at least {len(labels)}"
        )
    return labels, num_train, num_dev


def names_library(text: str, package: str) -> bool:
    """Return whether a text contains its library's name, in any case, or the alias it is usually imported as."""
    inside = "|".join(map(re.escape, NAMES.get(package, (package,))))
    words = "|".join(map(re.escape, ALIASES.get(package, ())))
    as_word = f"|(?<![a-z0-9])(?:{words})(?![a-z0-9])" if words else ""
    return re.search(inside + as_word, text, re.IGNORECASE) is not None


def _distinct(labels: Iterable[str]) -> list[list[Paragraph]]:
    """Return each library's paragraphs that are long enough, do not name it and occur nowhere else."""
    by_label = {label: list(paragraphs(label)) for label in labels}
    counts = Counter(paragraph.text.casefold() for of_label in by_label.values() for paragraph in of_label)

    def is_fair(text: str, label: str) -> bool:
        return counts[text.casefold()] == 1 and len(text.split()) >= MIN_WORDS and not names_library(text, label)

    return [[p for p in of_label if is_fair(p.text, label)] for label, of_label in by_label.items()]


def _split(
    of_label: Sequence[Paragraph], num_dev: int, rng: random.Random
) -> tuple[list[DocstringRow], list[DocstringRow]]:
    """Return development rows, drawn from files reserved for them, and the rows of all other files."""
    files: dict[str, list[DocstringRow]] = {}
    for package, file, text in of_label:
        files.setdefault(file, []).append(DocstringRow(text, package, f"{package}/{file}"))
    order = list(files)
    rng.shuffle(order)
    reserved = max(num_dev, round(DEV_SHARE * len(of_label)))
    pool: list[DocstringRow] = []
    while order and len(pool) < reserved:
        pool += files.pop(order.pop())
    others = [row for rows in files.values() for row in rows]
    return rng.sample(pool, min(num_dev, len(pool))), others
