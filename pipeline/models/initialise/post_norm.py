"""A post-LayerNorm encoder as the cut sees it: an embedding layer, and layers of two sub-layers each.

With x the input of a layer, and LN a LayerNorm:

    a = LN_a(x + W_o context + b_o),    context = heads of softmax(q k^T / sqrt(d_head)) v
    h = LN_h(a + W_2 act(W_1 a + b_1) + b_2)

Parts are called directly, without dropout, so that the cut can stop between them.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from pipeline.errors import ModelError
from pipeline.models.initialise.checks import OTHER_STARTS, check_family

Batch = Mapping[str, Tensor]


class Layer(NamedTuple):
    """The trainable parts of one layer, references into a model.

    Attributes:
        query, key, value: d to heads * d_head.
        attention_out: W_o, heads * d_head to d.
        attention_norm: LN_a.
        up: W_1, d to feed-forward width.
        activation: after W_1.
        down: W_2, feed-forward width to d.
        output_norm: LN_h.
        heads: number of attention heads.
    """

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    attention_out: nn.Linear
    attention_norm: nn.LayerNorm
    up: nn.Linear
    activation: Callable[[Tensor], Tensor]
    down: nn.Linear
    output_norm: nn.LayerNorm
    heads: int


def layers_of(model: PreTrainedModel) -> list[Layer]:
    """The layers of an encoder or of a classifier's encoder, lowest first.

    Raises:
        ModelError: the family cannot be cut, or its layers are built in another way.
    """
    check_family(model.config.model_type)
    heads = model.config.num_attention_heads
    try:
        layers = [_layer(layer, heads) for layer in cast("Any", model.base_model).encoder.layer]
        plain = all(isinstance(module, nn.Linear | nn.LayerNorm) for layer in layers for module in trained_parts(layer))
    except AttributeError:
        plain = False
    if not plain:
        raise ModelError(
            f"{type(model).__name__} has layers that are not built as BERT's are, so nothing can be cut out of it: "
            f"{OTHER_STARTS}"
        )
    return layers


def _layer(layer: Any, heads: int) -> Layer:
    attention = layer.attention
    return Layer(
        query=attention.self.query,
        key=attention.self.key,
        value=attention.self.value,
        attention_out=attention.output.dense,
        attention_norm=attention.output.LayerNorm,
        up=layer.intermediate.dense,
        activation=layer.intermediate.intermediate_act_fn,
        down=layer.output.dense,
        output_norm=layer.output.LayerNorm,
        heads=heads,
    )


def trained_parts(layer: Layer) -> tuple[nn.Module, ...]:
    """The parts of a layer that have weights, always in the same order."""
    return (
        *(layer.query, layer.key, layer.value, layer.attention_out, layer.attention_norm),
        *(layer.up, layer.down, layer.output_norm),
    )


def word_embedding_output(model: PreTrainedModel, batch: Batch) -> Tensor:
    """The output of the embedding layer's LayerNorm, (batch, length, embedding width); the model is in eval mode."""
    inputs = {"input_ids": batch["input_ids"]}
    # A RoBERTa has one token type; feeding it segment ids would index out of its table.
    if getattr(model.config, "type_vocab_size", 0) > 1 and "token_type_ids" in batch:
        inputs["token_type_ids"] = batch["token_type_ids"]
    return cast("Any", model.base_model).embeddings(**inputs)


def embedding_output(model: PreTrainedModel, batch: Batch) -> Tensor:
    """What the first layer reads, hidden state 0, (batch, length, d): an ELECTRA may project its embeddings first."""
    output = word_embedding_output(model, batch)
    projection = embedding_projection(model)
    return output if projection is None else projection(output)


def embedding_projection(model: PreTrainedModel) -> nn.Linear | None:
    """The linear layer from embeddings to the first layer, of an ELECTRA whose embeddings are narrower."""
    return getattr(model.base_model, "embeddings_project", None)


def split_heads(tensor: Tensor, heads: int) -> Tensor:
    """(batch, length, heads * width) to (batch, heads, length, width)."""
    return tensor.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float) -> Tensor:
    """Attention over the real tokens of each row.

    Args:
        query: (batch, heads, length, d_head).
        key: (batch, heads, length, d_head).
        value: (batch, heads, length, d_value).
        mask: (batch, length), True for tokens, False for padding.
        scale: factor of the scores, 1 / sqrt(d_head of the model).

    Returns:
        (batch, length, heads * d_value).
    """
    context = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :], scale=scale)
    return context.transpose(1, 2).flatten(2)


def context_of(layer: Layer, states: Tensor, mask: Tensor) -> Tensor:
    """The heads' outputs side by side before W_o, (batch, length, heads * d_head)."""
    query, key, value = (split_heads(part(states), layer.heads) for part in (layer.query, layer.key, layer.value))
    return attend(query, key, value, mask, query.shape[-1] ** -0.5)


def after_attention(layer: Layer, states: Tensor, mask: Tensor) -> Tensor:
    """The attention sub-layer: a, from the states that the layer reads, both (batch, length, d)."""
    return layer.attention_norm(states + layer.attention_out(context_of(layer, states, mask)))


def after_feed_forward(layer: Layer, states: Tensor) -> Tensor:
    """The feed-forward sub-layer: h, from a, both (batch, length, d)."""
    return layer.output_norm(states + layer.down(layer.activation(layer.up(states))))


@torch.no_grad()
def copy_linear(target: nn.Linear, weight: Tensor, bias: Tensor | None) -> None:
    """Write a weight (out, in) and a bias (out,), in whatever precision, into a linear layer; None for a bias of 0."""
    target.weight.copy_(weight)
    if target.bias is None:
        return
    if bias is None:
        target.bias.zero_()
    else:
        target.bias.copy_(bias)


@torch.no_grad()
def copy_norm(target: nn.LayerNorm, scale: Tensor | float, shift: Tensor | float) -> None:
    """Write gamma and beta, each (d,) or one number, into a LayerNorm."""
    target.weight.copy_(torch.as_tensor(scale).expand_as(target.weight))
    target.bias.copy_(torch.as_tensor(shift).expand_as(target.bias))
