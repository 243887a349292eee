"""A frozen teacher that computes features of a batch; its layers above the last one that is read are removed."""

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
    """A teacher that computes features.

    Attributes:
        read: (batch on ``device``) -> tap -> tensor.
        device: the device it runs on.
        dropout: whether its dropout is on.
        identity: everything that the features depend on, as JSON values: digest of the weights as they were loaded,
            taps, precision, compilation. The key of a feature cache holds this and nothing else of the teacher.
    """

    read: Callable[[Mapping[str, Tensor]], Seen]
    device: torch.device
    dropout: bool
    identity: Mapping[str, Any]

    def __call__(self, batch: Mapping[str, Tensor]) -> Seen:
        """Return tap -> tensor for a batch on the teacher's device."""
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
    """Prepare a teacher to compute features, removing the layers above the last one that is read.

    Its identity is computed here, before its weights are converted or packed.

    Args:
        teacher: the model as it was loaded; it is changed in place and must not be saved afterwards.
        taps: the tensors to read, such as the hidden states of layer 4.
        device: the device it is moved to.
        dropout: leave the teacher's dropout on, as the released code does.
        precision: number format of its matrix products; the losses are computed in float32 with either.
        compiled: compile its encoder.
    """
    truncate(teacher, max(1, *(tap.layer for tap in taps)))
    identity = {
        # Of the encoder only: a pooler that was not saved has random weights, and it does not run here.
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

    def features(batch: Mapping[str, Tensor]) -> Seen:
        with autocast(precision, device):
            return read(batch)

    return FrozenTeacher(features, device, dropout, identity)


def teacher_flops(
    teacher: PreTrainedModel, computed_share: Callable[[], float]
) -> Callable[[Mapping[str, float]], float]:
    """Return a function: counts -> teacher FLOPs, excluding batches that were read from the cache instead.

    Args:
        teacher: the truncated model.
        computed_share: returns the share of the batches that the teacher computed, 0 to 1; called after training.
    """
    return lambda counts: encoder_flops(teacher.config, counts["tokens"], counts["pairs"]) * computed_share()
