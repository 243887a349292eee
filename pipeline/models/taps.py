"""Taps read the features that distillation needs while the library's fused attention runs.

The attention function ``tinybert_tap`` is registered with the Transformers library: it keeps the queries and keys of
the requested layers, then calls the library's own SDPA. No model code is changed, and no attention matrix is computed.
The dict that collects them is passed down with each call, as a keyword of the attention function. So two models, or
two threads, do not interfere, and the compiler needs no graph break.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from pipeline.errors import ModelError
from pipeline.features import IGNORED, MASKED_WORDS, OUTPUT, Seen, Tap
from pipeline.models.mlm import mlm_head

TAPPED = "tinybert_tap"

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


AttentionInterface.register(TAPPED, _tapped_attention)
AttentionMaskInterface.register(TAPPED, sdpa_mask)


def encode(model: PreTrainedModel, batch: Mapping[str, Tensor], **kwargs: Any) -> Any:
    """Call a model with those inputs of a batch that it accepts.

    Args:
        model: the model.
        batch: input_ids, attention_mask and perhaps token_type_ids, each (batch, length); others are left out.
        kwargs: passed on to the model.
    """
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    # A RoBERTa has one token type; feeding it segment ids would index out of its table.
    if getattr(model.config, "type_vocab_size", 0) > 1 and "token_type_ids" in batch:
        inputs["token_type_ids"] = batch["token_type_ids"]
    return model(**inputs, **kwargs)


class Reader:
    """Reads taps of a model in one forward pass.

    Args:
        model: an encoder of the Transformers library. It must use the library's attention interface if queries or
            keys are read, and have a head if an output is read.
        taps: the tensors to read. A masked-LM output is computed at the masked positions only.

    Raises:
        ModelError: the model does not use the attention interface, or has no masked-LM head.
    """

    def __init__(self, model: PreTrainedModel, taps: Sequence[Tap]) -> None:
        self.model = model
        self.encoder = cast("PreTrainedModel", model.base_model)
        self.taps = tuple(taps)
        self._states = sorted({tap.layer for tap in taps if tap.what in ("embedding", "hidden")})
        self._factors = sorted({tap.layer for tap in taps if tap.what in ("query", "key")})
        self._head = mlm_head(model) if MASKED_WORDS in self.taps else None
        if not self._factors:
            return
        try:
            model.set_attn_implementation(TAPPED)
        except (ValueError, NotImplementedError) as error:
            raise ModelError(_unsupported(model)) from error

    def __call__(self, batch: Mapping[str, Tensor]) -> dict[Tap, Tensor]:
        """Run the model and return tap -> tensor.

        Args:
            batch: input_ids, attention_mask and perhaps token_type_ids, each (batch, length); for a masked-LM output
                also labels (batch, length), ``IGNORED`` where nothing is masked.
        """
        heard: Heard = {layer - 1: None for layer in self._factors}
        options: dict[str, Any] = {"tap_heard": heard} if self._factors else {}
        if self._states:
            options["output_hidden_states"] = self._states
        output = encode(self.model if OUTPUT in self.taps else self.encoder, batch, **options)
        return {tap: self._pick(tap, output, heard, batch) for tap in self.taps}

    def _pick(self, tap: Tap, output: Any, heard: Heard, batch: Mapping[str, Tensor]) -> Tensor:
        if tap == OUTPUT:
            return output.logits
        if tap == MASKED_WORDS:
            assert self._head is not None  # noqa: S101 - built for this tap
            return self._head(output.last_hidden_state[batch["labels"] != IGNORED])
        if tap.what in ("embedding", "hidden"):
            return output.hidden_states[tap.layer]
        pair = heard[tap.layer - 1]
        if pair is None:
            raise ModelError(_unsupported(self.encoder))
        return pair[0] if tap.what == "query" else pair[1]


def last_of(seen: Seen) -> Tensor:
    """Return the tensor that a forward pass computes last: an output, else the highest hidden state."""
    order = ("embedding", "query", "key", "hidden", "output")
    return seen[max(seen, key=lambda tap: (tap.what == "output", tap.layer, order.index(tap.what)))]


def truncate(model: PreTrainedModel, last_layer: int) -> None:
    """Remove the layers of an encoder above ``last_layer``, and its pooler, in place.

    They are kept if the hidden state of ``last_layer`` would change without them (because the encoder normalises it
    after its last layer), or if the encoder cannot run without its pooler.

    Args:
        model: the model.
        last_layer: number of the last layer that is read, from 1.
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
    """Return whether an encoder still computes the same hidden state after a part was removed."""
    try:
        return torch.equal(_hidden_state(encoder, layer), expected)
    except Exception:  # noqa: BLE001 - whatever it misses, it misses
        return False


@torch.no_grad()
def _hidden_state(encoder: PreTrainedModel, layer: int) -> Tensor:
    """Compute the hidden state of a layer for a few word pieces, without dropout."""
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
