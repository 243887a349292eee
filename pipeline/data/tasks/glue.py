"""A GLUE task is one line of a table: its columns, labels, metric and length.

All that differs between the nine tasks is data here; nothing else in the project knows a GLUE name. Files and columns
are those of the official download (Wang et al. 2018, arXiv:1804.07461); lengths are those of Jiao et al. 2020 (64 word
pieces for single sentences, 128 for pairs).
"""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.errors import ConfigError, DataError

ENTAILMENT = {"entailment": "entailment", "not_entailment": "not_entailment"}


@dataclass(frozen=True)
class GlueTask:
    """One GLUE task: its folder and columns, its labels (value in the file -> name), its metric."""

    name: str
    folder: str
    text: str
    text_pair: str | None
    label: str
    label_names: dict[str, str]
    metric: str = "accuracy"
    label_range: tuple[float, float] | None = None
    header: tuple[str, ...] | None = None
    """The columns, when the files have no header row."""
    dev_files: tuple[tuple[str, str], ...] = (("dev", "dev.tsv"),)
    skip_ragged: bool = False
    """Leave out the broken rows of the official file, as published row counts do."""

    @property
    def kind(self) -> Literal["classification", "regression"]:
        """Regression is the task without label names."""
        return "classification" if self.label_names else "regression"

    @property
    def max_length(self) -> int:
        """Word pieces a sequence (Jiao et al. 2020)."""
        return 128 if self.text_pair else 64


_COLA_HEADER = ("source", "label", "mark", "sentence")
_COLA = {"0": "unacceptable", "1": "acceptable"}
_MNLI_DEV = (("dev", "dev_matched.tsv"), ("dev_mismatched", "dev_mismatched.tsv"))
_MNLI = {name: name for name in ("entailment", "neutral", "contradiction")}
_MRPC = {"0": "not_equivalent", "1": "equivalent"}
_QQP = {"0": "not_duplicate", "1": "duplicate"}
_BOTH = "accuracy_and_f1"

_TASKS = (
    GlueTask("cola", "CoLA", "sentence", None, "label", _COLA, metric="matthews", header=_COLA_HEADER),
    GlueTask("sst2", "SST-2", "sentence", None, "label", {"0": "negative", "1": "positive"}),
    GlueTask("mrpc", "MRPC", "#1 String", "#2 String", "Quality", _MRPC, metric=_BOTH),
    GlueTask("stsb", "STS-B", "sentence1", "sentence2", "score", {}, metric="pearson_spearman", label_range=(0.0, 5.0)),
    GlueTask("qqp", "QQP", "question1", "question2", "is_duplicate", _QQP, metric=_BOTH, skip_ragged=True),
    GlueTask("mnli", "MNLI", "sentence1", "sentence2", "gold_label", _MNLI, dev_files=_MNLI_DEV),
    GlueTask("qnli", "QNLI", "question", "sentence", "label", ENTAILMENT),
    GlueTask("rte", "RTE", "sentence1", "sentence2", "label", ENTAILMENT),
    GlueTask("wnli", "WNLI", "sentence1", "sentence2", "label", {"0": "not_entailment", "1": "entailment"}),
)
GLUE: dict[str, GlueTask] = {task.name: task for task in _TASKS}


def _key(name: str) -> str:
    """``SST-2``, ``sst_2`` and ``sst2`` are one name."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def glue_task(name: str) -> GlueTask:
    """Return the task of that name; case and dashes do not matter.

    Raises:
        ConfigError: GLUE has no such task; names the nearest one and the way to read other files.
    """
    task = GLUE.get(_key(name))
    if task is None:
        near = difflib.get_close_matches(_key(name), GLUE, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError(
            f"task.dir reads the GLUE layout, but task.name {name!r} is no GLUE task ({', '.join(GLUE)}): "
            f"{hint}Other files are named with task.train and task.dev"
        )
    return task


def glue_folder(folder: Path, task: GlueTask) -> Path:
    """Return the folder that holds ``train.tsv``: ``folder``, or the task's folder in it (GLUE's root).

    Raises:
        DataError: there is no such folder, or no ``train.tsv`` in it.
    """
    if not folder.is_dir():
        raise DataError(f"task.dir {folder} is not a folder: name the one that holds {task.folder}'s train.tsv")
    if (folder / "train.tsv").is_file():
        return folder
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and _key(inner.name) == _key(task.folder) and (inner / "train.tsv").is_file():
            return inner
    raise DataError(f"task.dir {folder} holds neither train.tsv nor {task.folder}/train.tsv: correct the path")


def glue_files(folder: Path, task: GlueTask) -> dict[str, Path]:
    """Return split -> file: ``train``, ``dev`` and, for MNLI, ``dev_mismatched``."""
    data_dir = glue_folder(folder, task)
    return {"train": data_dir / "train.tsv"} | {split: data_dir / name for split, name in task.dev_files}
