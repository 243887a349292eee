"""A tap reads the features that distillation needs while the stock fused attention runs.

The attention function ``tinybert_tap`` is registered with the Transformers library: it hands the
queries and keys of the layers somebody listens to over, then calls the library's own SDPA. No model
code is changed, no attention matrix is materialised. Who listens travels with the call, as a keyword
that the library passes down to the attention function: two models, or two threads, never meet, and
the compiler follows it without leaving its graph.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from pipeline.errors import ModelError

TAP = "tinybert_tap"
Heard = dict[int, tuple[Tensor, Tensor] | None]


def _tapped_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    tap_heard: Heard | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    layer = getattr(module, "layer_idx", None)
    if tap_heard is not None and layer in tap_heard:
        tap_heard[layer] = (query, key)
    return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)


AttentionInterface.register(TAP, _tapped_attention)
AttentionMaskInterface.register(TAP, sdpa_mask)


def encode(
    model: PreTrainedModel,
    batch: Mapping[str, Tensor],
    **kwargs: Any,
) -> Any:
    """Run a model's forward on the inputs of a batch that it understands."""
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    # A RoBERTa has one token type; feeding it segment ids would index out of its table.
    if getattr(model.config, "type_vocab_size", 0) > 1 and "token_type_ids" in batch:
        inputs["token_type_ids"] = batch["token_type_ids"]
    return model(**inputs, **kwargs)


class Tap:
    """Reads embeddings, and the hidden states, queries and keys of given layers.

    Args:
        model: any encoder of the Transformers library that uses its attention interface.
        layers: 1-based layers, in the order wanted; a layer may be repeated.
        attention: read queries and keys too; without it any encoder will do.

    Raises:
        ModelError: the model does not go through the attention interface.
    """

    def __init__(self, model: PreTrainedModel, layers: Sequence[int], *, attention: bool = True) -> None:
        self.encoder = cast("PreTrainedModel", model.base_model)
        self.layers = tuple(layers)
        self.attention = attention
        if not attention:
            return
        try:
            model.set_attn_implementation(TAP)
        except (ValueError, NotImplementedError) as error:
            raise ModelError(_unsupported(model)) from error

    def __call__(
        self, batch: Mapping[str, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...], tuple[tuple[Tensor, Tensor], ...]]:
        """Embedding, hidden states and (query, key) pairs of the tapped layers; no pairs without attention.

        Args:
            batch: input_ids, attention_mask and perhaps token_type_ids, each (batch, length).
        """
        wanted = self.layers if self.attention else ()
        heard: Heard = {layer - 1: None for layer in wanted}
        listening = {"tap_heard": heard} if self.attention else {}
        output = encode(self.encoder, batch, output_hidden_states=[0, *sorted(set(self.layers))], **listening)
        attention = tuple(heard[layer - 1] for layer in wanted)
        if any(pair is None for pair in attention):
            raise ModelError(_unsupported(self.encoder))
        hidden = output.hidden_states
        return hidden[0], tuple(hidden[layer] for layer in self.layers), attention  # type: ignore[return-value]


def truncate(model: PreTrainedModel, last_layer: int) -> None:
    """Drop what lies above ``last_layer`` of an encoder, its pooler included; in place.

    An encoder that computes something else without them keeps them: one that normalises after its last layer, whose
    norm would meet another one, or one that cannot do without its pooler.
    """
    encoder = cast("Any", model.base_model)
    count, pooler = encoder.config.num_hidden_layers, getattr(encoder, "pooler", None)
    lists = (module for module in encoder.modules() if isinstance(module, nn.ModuleList))
    expected = _hidden_state(encoder, last_layer)
    for layers in (module for module in lists if count == len(module) > last_layer):
        above = list(layers[last_layer:])
        del layers[last_layer:]
        encoder.config.num_hidden_layers = last_layer
        if not _still(encoder, last_layer, expected):
            layers.extend(above)
            encoder.config.num_hidden_layers = count
        break
    if pooler is not None:
        encoder.pooler = None
        if not _still(encoder, last_layer, expected):
            encoder.pooler = pooler


def _still(encoder: PreTrainedModel, layer: int, expected: Tensor) -> bool:
    """Whether an encoder computes what it did before something was taken from it."""
    try:
        return torch.equal(_hidden_state(encoder, layer), expected)
    except Exception:  # noqa: BLE001 - whatever it misses, it misses
        return False


@torch.no_grad()
def _hidden_state(encoder: PreTrainedModel, layer: int) -> Tensor:
    """Of a few word pieces, without dropout."""
    was_training = encoder.training
    encoder.eval()
    ids = torch.tensor([[2, 3, 4]], device=encoder.device)
    try:
        batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids, dtype=torch.bool)}
        return encode(encoder, batch, output_hidden_states=True).hidden_states[layer]
    finally:
        encoder.train(was_training)


def _unsupported(model: nn.Module) -> str:
    return (
        f"{type(model).__name__} does not use the Transformers attention interface, so its attention scores "
        "cannot be read: choose a BERT, RoBERTa, ELECTRA or MiniLM encoder, or set terms.attention to 0"
    )
