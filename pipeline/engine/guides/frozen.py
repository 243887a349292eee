"""A guide that computes: a frozen teacher, cut off above the last layer that is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from pipeline.config.precision import Precision
from pipeline.evaluation.cost import encoder_flops
from pipeline.features import Seen, Tap
from pipeline.models.precision import autocast, prepare_teacher
from pipeline.models.speed.compilation import compile_encoder
from pipeline.models.speed.packed import pack
from pipeline.models.taps import Reader, truncate
from pipeline.models.weight_digest import digest_encoder


@dataclass(frozen=True)
class FrozenTeacher:
    """A teacher that is ready to be read.

    Attributes:
        read: a batch in, the tensors of the taps out.
        device: where it runs.
        dropout: whether its dropout is on.
        identity: everything about it that what it shows depends on, the weights as they were loaded included; JSON
            values. A cache of what it shows is keyed by nothing else of it.
    """

    read: Callable[[Mapping[str, Tensor]], Seen]
    device: torch.device
    dropout: bool
    identity: Mapping[str, Any]

    def __call__(self, batch: Mapping[str, Tensor]) -> Seen:
        """The tensors of the taps for a batch on the teacher's device."""
        return self.read(batch)


def frozen_teacher(
    teacher: PreTrainedModel,
    taps: Sequence[Tap],
    device: torch.device,
    *,
    dropout: bool = False,
    precision: Precision = "float32",
    compiled: bool = False,
) -> FrozenTeacher:
    """What a teacher shows of a batch; nothing of it runs above the last layer that is read.

    Its identity is taken here, before its weights are converted or packed.

    Args:
        teacher: as it was loaded; it is changed in place, and must not be saved.
        taps: what is read.
        device: where it runs.
        dropout: leave the teacher's dropout on, as the released code does.
        precision: what its matrix products are computed in; the losses compute in float32 in either.
        compiled: compile what runs of it.
    """
    truncate(teacher, max(1, *(tap.layer for tap in taps)))
    identity = {
        # What never runs does not count; a pooler that was not saved is drawn at random.
        "weights": digest_encoder(teacher),
        "taps": [list(tap) for tap in taps],
        "precision": precision,
        "compiled": compiled,
    }
    prepare_teacher(teacher, precision)
    teacher.train(dropout).to(device)
    read = Reader(teacher, taps)
    if compiled:
        compile_encoder(teacher)
    else:
        pack(teacher)

    def show(batch: Mapping[str, Tensor]) -> Seen:
        with autocast(precision, device):
            return read(batch)

    return FrozenTeacher(show, device, dropout, identity)


def teacher_flops(
    teacher: PreTrainedModel, computed_share: Callable[[], float]
) -> Callable[[Mapping[str, float]], float]:
    """Teacher FLOPs for given counts, excluding batches that were read from a store instead.

    Args:
        teacher: truncated.
        computed_share: share of the batches that the teacher computed, asked when training is over.
    """
    return lambda counts: encoder_flops(teacher.config, counts["tokens"], counts["pairs"]) * computed_share()
