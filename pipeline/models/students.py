"""Students: an encoder of the teacher's family in another shape, sharing its vocabulary."""

import re
from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import nn
from transformers import AutoModel, AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel

from pipeline.config.models import Shape
from pipeline.errors import ModelError
from pipeline.models.load import label_settings
from pipeline.models.released import forget_relu

# The families name their dropout probabilities hidden_dropout_prob, mlp_dropout, summary_first_dropout and so on.
DROPOUT = re.compile(r"(.+_)?dropout(_prob)?")
LAYER_LISTS = ("layer_types", "mlp_layer_types", "attention_window")  # keys with one entry a layer
HEAD_WIDTHS = ("head_dim", "attention_head_size")


def larger_than_teacher(shape: Shape, teacher: PretrainedConfig) -> list[str]:
    """Describe in what a student is larger than its teacher, for a warning; larger students are allowed."""
    warnings = []
    if shape.layers > teacher.num_hidden_layers:
        warnings.append(
            f"student is deeper than its teacher: {shape.layers} layers against {teacher.num_hidden_layers}"
        )
    if shape.hidden > teacher.hidden_size:
        warnings.append(f"student is wider than its teacher: {shape.hidden} against {teacher.hidden_size}")
    return warnings


def student_config(
    shape: Shape, teacher: PretrainedConfig, *, dropout: float, layers: Sequence[int] | None = None
) -> PretrainedConfig:
    """Build a student's configuration: the teacher's family, vocabulary and positions, in the student's shape.

    Args:
        shape: the student's layers, hidden size, heads and intermediate size.
        teacher: the teacher's configuration; it is not changed.
        dropout: dropout probability of all of the student's layers.
        layers: for each student layer, the number of the teacher layer that it imitates, from 1; it takes that layer's
            kind of attention. None uses the teacher's first layers, and starts over if the student is deeper.

    Raises:
        ModelError: the family configures its layers differently, so that their number cannot be changed.
    """
    config = deepcopy(teacher)
    forget_relu(config)
    try:
        config.num_hidden_layers = shape.layers
    except NotImplementedError as error:
        raise ModelError(
            f"a {teacher.model_type!r} teacher cannot have a student of another depth ({error}): "
            "choose a BERT, RoBERTa, ELECTRA or MiniLM teacher"
        ) from error
    config.hidden_size = shape.hidden
    config.num_attention_heads = shape.heads
    _repeat_shape(config, teacher, shape)
    imitated = [1 + n % teacher.num_hidden_layers for n in range(shape.layers)] if layers is None else layers
    for name in LAYER_LISTS:
        kinds = getattr(teacher, name, None)
        if isinstance(kinds, list | tuple) and len(kinds) == teacher.num_hidden_layers:
            setattr(config, name, [kinds[layer - 1] for layer in imitated])
    # DistilBERT calls it hidden_dim and maps the other names only.
    setattr(config, "hidden_dim" if hasattr(config, "hidden_dim") else "intermediate_size", shape.intermediate)
    if hasattr(config, "embedding_size"):
        config.embedding_size = min(config.embedding_size, shape.hidden)
    for name, value in list(vars(config).items()):
        if DROPOUT.fullmatch(name) and type(value) in (int, float):  # one that is None follows another of them
            setattr(config, name, dropout)
    config.dtype = torch.float32
    return config


def _repeat_shape(config: PretrainedConfig, teacher: PretrainedConfig, shape: Shape) -> None:
    """Set the keys that repeat width and heads in some families to the student's shape."""
    if hasattr(config, "pooler_hidden_size"):  # DeBERTa
        config.pooler_hidden_size = shape.hidden
    for name in HEAD_WIDTHS:
        if isinstance(getattr(config, name, None), int):
            setattr(config, name, shape.hidden // shape.heads)
    if isinstance(getattr(config, "num_key_value_heads", None), int):
        ratio = teacher.num_attention_heads // teacher.num_key_value_heads
        config.num_key_value_heads = max(1, shape.heads // ratio)
    if hasattr(config, "intra_bottleneck_size"):  # MobileBERT: attention is narrower than the layer, in proportion
        narrow = teacher.intra_bottleneck_size * shape.hidden / teacher.hidden_size
        config.intra_bottleneck_size = max(1, round(narrow / shape.heads)) * shape.heads
        config.true_hidden_size = config.intra_bottleneck_size if config.use_bottleneck else shape.hidden


def set_dropout(model: nn.Module, probability: float) -> None:
    """Set the dropout probability of a built model in place; its configuration is not changed."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability


def build_encoder(config: PretrainedConfig, seed: int) -> PreTrainedModel:
    """Build an encoder with random weights; the same configuration and seed give the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoModel.from_config(config)


def random_classifier(
    config: PretrainedConfig, label_names: Sequence[str], *, regression: bool = False
) -> PreTrainedModel:
    """Build a classifier with random weights from torch's global generator, which the caller seeds.

    Args:
        config: shape and family; the labels are written into it.
        label_names: label names by output index, kept in the model as ``id2label``; one name for a regression.
        regression: one output for a number instead of one for each class.
    """
    config.update(label_settings(label_names, regression=regression))
    return AutoModelForSequenceClassification.from_config(config)
