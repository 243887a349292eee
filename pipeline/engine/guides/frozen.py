"""A guide that computes: a frozen teacher, cut off above the last layer that is read."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from pipeline.config.precision import Precision
from pipeline.evaluation.cost import encoder_flops
from pipeline.features import Seen, Tap
from pipeline.models.compilation import compile_encoder
from pipeline.models.packed import pack
from pipeline.models.precision import autocast, prepare_teacher
from pipeline.models.taps import Reader, truncate

Guide = Callable[[Mapping[str, Tensor]], Seen]


def frozen_teacher(
    teacher: PreTrainedModel,
    taps: Sequence[Tap],
    device: torch.device,
    *,
    dropout: bool = False,
    precision: Precision = "float32",
    compiled: bool = False,
) -> Guide:
    """What a teacher shows of a batch; nothing of it runs above the last layer that is read.

    Args:
        teacher: truncated, packed or compiled in place.
        taps: what is read.
        device: where it runs.
        dropout: leave the teacher's dropout on, as the released code does.
        precision: what its matrix products are computed in; the losses compute in float32 in either.
        compiled: compile what runs of it.
    """
    truncate(teacher, max(1, *(tap.layer for tap in taps)))
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

    return show


def teacher_flops(
    teacher: PreTrainedModel, computed_share: Callable[[], float]
) -> Callable[[Mapping[str, float]], float]:
    """Teacher FLOPs for given counts, excluding batches that were read from a store instead.

    Args:
        teacher: truncated.
        computed_share: share of the batches that the teacher computed, asked when training is over.
    """
    return lambda counts: encoder_flops(teacher.config, counts["tokens"], counts["pairs"]) * computed_share()
