"""Stage ``teacher_logits``: the transfer set, tokenised once, with the teacher's logits of every row.

The prediction phase never loads the teacher again, whatever the number of epochs, students or sweeps. Where
there are variants, what they are worth is said beside the logits, for here the teacher has seen both them and
their origins. Logits are computed shard by shard; a killed run goes on with the first shard that is not there.
"""

from typing import Any

from pipeline.checks.checks import Check, trains
from pipeline.config.base import Config
from pipeline.config.precision import Precision
from pipeline.config.run import RunConfig
from pipeline.engine.precision import teacher_precision
from pipeline.store.entry import entry
from pipeline.store.stage import Stage


class TeacherLogitsStage(Config):
    """Nothing beside its inputs decides the teacher's logits, but the precision."""

    precision: Precision


def teacher_logits(
    config: RunConfig,
    task_data: Stage[Any],
    teacher: Stage[Any],
    augmentation: Stage[Any] | None,
    candidates: Stage[Any] | None,
) -> Stage[TeacherLogitsStage]:
    """The teacher's logits of original, unlabelled and augmented rows.

    Args:
        config: of the run.
        task_data: the task.
        teacher: the fine-tuned teacher.
        augmentation: the variants; None without any.
        candidates: proposed the variants' words; its masked LM, if it has one, says how strange they look.
    """
    inputs: dict[str, Any] = {"task_data": task_data, "teacher": teacher}
    if augmentation is not None:
        inputs["augmentation"] = augmentation
        if candidates is not None and "mlm" in candidates.inputs:
            inputs["mlm"] = candidates.inputs["mlm"]
    settings = TeacherLogitsStage(precision=teacher_precision(config))
    return Stage(
        "teacher_logits",
        4,
        settings,
        inputs,
        entry("pipeline.engine.teacher_logits"),
        cost="pipeline.cost.inference",
    )


def checks(config: RunConfig) -> tuple[Check, ...]:
    """What shows before the teacher is asked: a device."""
    return trains(config.runtime)
