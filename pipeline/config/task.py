"""Configuration of the downstream task: rows, columns, labels and metric."""

import math
import re
from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveInt, field_validator, model_validator

from pipeline.config.base import Config

Metric = Literal["accuracy", "f1", "matthews", "pearson_spearman", "accuracy_and_f1"]
SOURCES = ("dir", "train", "hub", "packages")
NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
"""A number as data files hold them; Python alone would also take 1_5 for 15, and digits of any script."""


def label_value(value: object) -> str:
    """Write a label of a file or a configuration: ``1`` for 1 and 1.0, ``true`` for True."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def label_order(value: str) -> tuple[float, str]:
    """Return the sort key of a label: numbers by their size, then text by its letters."""
    return (float(value) if re.fullmatch(r"-?\d+(\.\d+)?", value) else math.inf), value


class TaskConfig(Config):
    """A labelled task in the GLUE layout, in files with named columns, on the hub, or the offline default."""

    name: str = Field("task", title="Name", description="A GLUE name (sst2, mrpc, stsb, ...) or your own.")
    dir: str | None = Field(None, title="GLUE folder", description="Holds train.tsv and dev.tsv.")
    train: str | None = Field(
        None, title="Training file", description="CSV, TSV (read without quoting), JSONL or Parquet."
    )
    dev: str | None = Field(None, title="Development file")
    test: str | None = Field(
        None, title="Test file", description="Judges the students; the development file then only chooses checkpoints."
    )
    hub: str | None = Field(None, title="Datasets-hub name")
    hub_config: str | None = Field(None, title="Configuration on the hub")
    hub_revision: str = Field("main", title="Revision on the hub")
    hub_splits: tuple[str, str] | tuple[str, str, str] = Field(
        ("train", "validation"), title="Training and development split", description="And perhaps one to judge by."
    )
    packages: tuple[str, ...] = Field((), title="Packages", description="The offline default task.")
    unlabelled: tuple[str, ...] = Field(
        (), title="Unlabelled text", description="Extra text files; the teacher labels them."
    )
    text: str = Field("text", title="Text column")
    text_pair: str | None = Field(None, title="Second text column")
    label: str = Field("label", title="Label column")
    label_names: dict[str, str] = Field({}, title="Label names", description="Value in the file -> name.")
    positive_label: str | None = Field(
        None, title="Positive label", description="The label that F1 is of; needed where two labels are not 0 and 1."
    )
    kind: Literal["classification", "regression"] | None = Field(
        None, description="The GLUE task's own, or classification, when empty."
    )
    label_range: tuple[float, float] | None = Field(None, title="Range of a regression label")
    metric: Metric | None = Field(None, title="Metric", description="The task's own when empty.")
    max_length: int | None = Field(
        None,
        ge=8,
        title="Sequence length (word pieces)",
        description="When empty: 64 for GLUE's single sentences, 128 otherwise.",
    )
    train_rows: PositiveInt | None = Field(None, title="Labelled rows", description="A seeded sample; all when empty.")
    dev_rows: PositiveInt | None = Field(None, title="Development rows", description="All when empty.")
    validation_share: float | None = Field(
        None,
        gt=0,
        lt=1,
        title="Share of the training rows to choose by",
        description="Where there is no test split: these rows choose checkpoints, and the development rows judge.",
    )
    unlabelled_rows: PositiveInt | Literal["rest"] | None = Field(
        None, title="Unlabelled rows", description="From the training rows not drawn; 'rest' takes them all."
    )

    recombined: NonNegativeFloat = Field(
        0.0,
        title="Recombined pairs",
        description="Of a task of pairs: so many new pairs a labelled row, the first text of one beside the second of "
        "another; the teacher labels them.",
    )

    @field_validator("label_names", mode="before")
    @classmethod
    def _names_of_values(cls, names: object) -> object:
        if not isinstance(names, dict):
            return names
        # YAML reads the values 0 and 1 as numbers and no as false; a file holds them as text. The classes
        # come in this order, which must not depend on that of the keys: a fingerprint does not know it.
        named = {label_value(key): name for key, name in names.items()}
        return {value: named[value] for value in sorted(named, key=label_order)}

    @field_validator("positive_label", mode="before")
    @classmethod
    def _as_in_a_file(cls, label: object) -> object:
        return label_value(label) if isinstance(label, bool | int | float) else label

    @model_validator(mode="after")
    def _one_source(self) -> "TaskConfig":
        given = [name for name in SOURCES if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"a task has one source, got {given or 'none'}: set one of task.dir, train, hub, packages")
        if self.train and not self.dev:
            raise ValueError(f"task.train is {self.train!r} but task.dev is empty: name the development file as well")
        if self.dev and not self.train:
            msg = f"task.dev is {self.dev!r} but task.train is empty: name the training file too, or drop it"
            raise ValueError(msg)
        tested = self.test or (self.hub and len(self.hub_splits) > len(("train", "dev")))
        if self.test and not self.train:
            msg = (
                f"task.test is {self.test!r} but task.train is empty: a test file stands beside task.train and task.dev"
            )
            raise ValueError(msg)
        if tested and self.validation_share is not None:
            msg = "task.validation_share is set beside a test split: set one of them, or the same rows are spared twice"
            raise ValueError(msg)
        kind = self.kind or "classification"
        if self.metric and not self.dir and (self.metric == "pearson_spearman") != (kind == "regression"):
            raise ValueError(
                f"task.metric {self.metric!r} does not score a task of kind {kind!r}: "
                "pearson_spearman is for regression, the others are for classification"
            )
        if self.positive_label is not None and kind == "regression":
            msg = f"task.positive_label is {self.positive_label!r}, but a regression has no labels: leave it empty"
            raise ValueError(msg)
        return self
