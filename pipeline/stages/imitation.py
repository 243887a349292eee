"""Students imitating the mapped layers of one teacher, whose forward pass they share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.config.distillation import Terms
from pipeline.config.models import StudentConfig
from pipeline.config.precision import Precision
from pipeline.stages.checks import check_any_term

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from pipeline.distillation.features import Features
    from pipeline.stages.learners import Imitator
    from pipeline.stages.stored_teacher import StoredTeacher


@dataclass(frozen=True)
class ReadTeacher:
    """A teacher that is ready to be read.

    Attributes:
        read: what it hands out of a batch.
        device: where it runs.
        dropout: whether its dropout is on.
        identity: everything about it that what it hands out depends on, the weights as they were loaded included;
            JSON values. A cache of what it hands out is keyed by nothing else of it.
    """

    read: "Callable[[Mapping[str, torch.Tensor]], Features]"
    device: "torch.device"
    dropout: bool
    identity: Mapping[str, Any]

    def __call__(self, batch: "Mapping[str, torch.Tensor]") -> "Features":
        """The features of a batch."""
        return self.read(batch)


def imitators(
    students: Sequence[StudentConfig],
    models: Mapping[str, "PreTrainedModel"],
    teacher: "PreTrainedModel",
    terms: Terms,
    *,
    seed: int,
) -> "tuple[dict[str, Imitator], list[int]]":
    """A learner for each student, and the teacher layers that any of them imitates.

    Raises:
        ModelError: head counts or the reach of mapped layers differ while attention is imitated, a layer map does
            not fit, a student's family cannot take its shape, or there is nothing to imitate.
    """
    import torch

    from pipeline.distillation.objectives import TransformerObjective
    from pipeline.models.shapes import check_heads
    from pipeline.models.trial import read_as_student
    from pipeline.models.windows import attention_windows, check_windows
    from pipeline.stages.learners import Imitator
    from pipeline.stages.student_models import mapped_layers, student_seed

    check_any_term(terms)
    maps = {}
    for student in students:
        config = models[student.name].config
        if terms.attention:
            check_heads(student.name, config.num_attention_heads, teacher.config)
        maps[student.name] = mapped_layers(student, teacher.config, config)
        if terms.attention:
            check_windows(student.name, maps[student.name], config, teacher.config)
        read_as_student(models[student.name], attention=bool(terms.attention))
    layers = sorted({layer for mapped in maps.values() for layer in mapped})
    learners = {}
    for student in students:
        torch.manual_seed(student_seed(student, seed))
        model, mapped = models[student.name], maps[student.name]
        objective = TransformerObjective(
            model.config.hidden_size,
            teacher.config.hidden_size,
            embedding=terms.embedding,
            hidden=terms.hidden,
            attention=terms.attention,
            shared_projection=terms.projection == "shared",
            count_padding=terms.padding == "included",
            windows=attention_windows(model.config),
        )
        places = tuple(layers.index(layer) for layer in mapped)
        learners[student.name] = Imitator(model, objective, len(mapped), places)
    return learners, layers


def teacher_features(
    teacher: "PreTrainedModel",
    layers: Sequence[int],
    device: "torch.device",
    *,
    dropout: bool = False,
    attention: bool = True,
    precision: Precision = "float32",
    compiled: bool = False,
) -> ReadTeacher:
    """What the teacher hands out of a batch; nothing of it runs above the last mapped layer.

    Its identity is taken here, before its weights are converted or packed.

    Args:
        teacher: as it was loaded; it is changed in place, and must not be saved.
        layers: the teacher layers that are imitated.
        device: where it runs.
        dropout: leave the teacher's dropout on, as the released code does.
        attention: whether anybody imitates its attention scores.
        precision: what its matrix products are computed in; the losses compute in float32 in either.
        compiled: compile what runs of it.
    """
    from pipeline.models.compilation import compile_encoder
    from pipeline.models.packed import pack
    from pipeline.models.precision import autocast, prepare_teacher
    from pipeline.models.taps import Tap, truncate
    from pipeline.models.weights import digest_encoder
    from pipeline.stages.learners import read_features

    truncate(teacher, max(layers))  # what never runs does not count; a pooler that was not saved is drawn at random
    identity = {
        "weights": digest_encoder(teacher),
        "layers": list(layers),
        "attention": attention,
        "precision": precision,
        "compiled": compiled,
    }
    prepare_teacher(teacher, precision)
    teacher.train(dropout).to(device)
    tap = Tap(teacher, layers, attention=attention)
    if compiled:
        compile_encoder(teacher)
    else:
        pack(teacher)

    def features(batch: Mapping[str, "torch.Tensor"]) -> "Features":
        with autocast(precision, device):
            return read_features(tap, batch)

    return ReadTeacher(features, device, dropout, identity)


def teacher_flops(teacher: "PreTrainedModel", stored: "StoredTeacher") -> "Callable[[Mapping[str, float]], float]":
    """What a teacher's passes over so much cost, those left out that were read instead.

    Args:
        teacher: truncated.
        stored: says how often it was asked.
    """
    from pipeline.evaluation.cost import encoder_flops

    def flops(counts: Mapping[str, float]) -> float:
        return encoder_flops(teacher.config, counts["tokens"], counts["pairs"]) * stored.computed_share

    return flops
