"""What is refused of a model by its description alone, before or after it is loaded; no library is needed to tell."""

from collections.abc import Mapping
from typing import Any

from pipeline.errors import ModelError
from pipeline.models.described import MULTI_LABEL


def check_length(length: int, positions: float, setting: str) -> None:
    """Refuse sequences that are longer than a model's positions.

    Args:
        length: their greatest length in word pieces.
        positions: of the model.
        setting: the configuration key that decides the length.

    Raises:
        ModelError: names both numbers and the setting.
    """
    if length > positions:
        raise ModelError(
            f"sequences have {length} word pieces, the model {positions} positions: set {setting} to {positions}"
        )


def refuse_multi_label(location: str, described: Mapping[str, Any]) -> None:
    """Refuse a teacher that says yes or no to each label by itself: its logits are no distribution over classes.

    Args:
        location: of the teacher.
        described: its configuration.

    Raises:
        ModelError: it says so of itself.
    """
    if described.get("problem_type") == MULTI_LABEL:
        raise ModelError(
            f"the teacher {location} is for several labels a row (problem_type {MULTI_LABEL} in its config.json), the "
            "task has one: name a teacher with one label a row, or set teacher.finetune to train it on the task"
        )


def check_one_output(num_labels: int | None) -> None:
    """Refuse a teacher of a regression that does not give one number.

    Args:
        num_labels: outputs of the teacher.

    Raises:
        ModelError: names how many it has.
    """
    if num_labels != 1:
        raise ModelError(
            f"the teacher has {num_labels} outputs, a regression needs one: name a teacher that was "
            "fine-tuned on a score, or set teacher.finetune to train it on the task"
        )
