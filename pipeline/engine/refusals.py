"""Checks of a model that need only its configuration, so that it need not be loaded; and of where inputs come from."""

from collections.abc import Mapping
from typing import Any

from pipeline.errors import DataError, ModelError
from pipeline.models.described import MULTI_LABEL
from pipeline.store.artifact import load_artifact
from pipeline.store.stage import StageRun


def check_length(length: int, positions: float, setting: str) -> None:
    """Refuse sequences that are longer than a model's number of positions.

    Args:
        length: longest sequence, in word pieces.
        positions: number of positions of the model.
        setting: the configuration key that sets the length.

    Raises:
        ModelError: names both numbers and the setting.
    """
    if length > positions:
        raise ModelError(
            f"sequences have {length} word pieces, the model {positions} positions: set {setting} to {positions}"
        )


def refuse_multi_label(location: str, described: Mapping[str, Any]) -> None:
    """Refuse a teacher with several labels a row: its logits are no distribution over classes.

    Args:
        location: folder or hub id of the teacher.
        described: the content of its config.json.

    Raises:
        ModelError: its ``problem_type`` is multi-label classification.
    """
    if described.get("problem_type") == MULTI_LABEL:
        raise ModelError(
            f"the teacher {location} is for several labels a row (problem_type {MULTI_LABEL} in its config.json), the "
            "task has one: name a teacher with one label a row, or set teacher.finetune to train it on the task"
        )


def check_one_output(num_labels: int | None) -> None:
    """Refuse a teacher for a regression that has more or fewer than one output.

    Args:
        num_labels: number of outputs of the teacher; None if unknown.

    Raises:
        ModelError: it is not 1; names the number.
    """
    if num_labels != 1:
        raise ModelError(
            f"the teacher has {num_labels} outputs, a regression needs one: name a teacher that was "
            "fine-tuned on a score, or set teacher.finetune to train it on the task"
        )


def check_same_rows(run: StageRun, role: str) -> None:
    """Refuse an input that was made from other rows of a task than those of this run.

    Args:
        run: a stage with the input ``task_data``.
        role: of the input.

    Raises:
        DataError: names the input and what it was made from.
    """
    own, made = (load_artifact(run.artifact(name)).manifest for name in ("task_data", role))
    record = made.inputs.get("task_data")
    if record is not None and record.ref is not None and record.digest != own.digest:
        raise DataError(f"the {role} was made from {record.ref}, whose rows are not those of this run: use another one")
