"""Compute an encoder's output at some positions only, and skip the last layer's work for the others."""

from collections.abc import Callable, Mapping
from threading import local
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

PartialForward = Callable[[Mapping[str, Tensor], list[int], list[int]], Tensor]
FEED_FORWARD = "feed_forward_chunk"  # BERT, RoBERTa, ELECTRA and their like; a function of one token at a time


def partial_forward(model: PreTrainedModel) -> PartialForward:
    """Return a function: (model inputs, rows, columns) -> last hidden states there, (positions, hidden).

    Attention in the last layer needs every token; its feed-forward half, two thirds of a layer's matrix products, does
    not. If the layer has no separate feed-forward method, all of it is computed. Threads may share the model. Calling
    the model itself still computes every position.

    Args:
        model: a BERT-like encoder, or a model with one; its last layer is changed in place.
    """
    encoder = model.base_model
    last = _last_layer(encoder)
    if last is None:
        return lambda inputs, rows, columns: encoder(**inputs)[0][rows, columns]
    of_thread, feed_forward = local(), getattr(last, FEED_FORWARD)

    def partial_feed_forward(attended: Tensor) -> Any:
        positions = getattr(of_thread, "positions", None)
        # Each position becomes a row of one token.
        return feed_forward(attended if positions is None else attended[positions][:, None])

    def forward(inputs: Mapping[str, Tensor], rows: list[int], columns: list[int]) -> Tensor:
        of_thread.positions = (rows, columns)
        try:
            return encoder(**inputs)[0][:, 0]
        finally:
            of_thread.positions = None

    setattr(last, FEED_FORWARD, partial_feed_forward)
    return forward


def _last_layer(encoder: nn.Module) -> nn.Module | None:
    """Return the last layer if its feed-forward half is a method of its own, else None."""
    layers = getattr(getattr(encoder, "encoder", None), "layer", None)
    if not isinstance(layers, nn.ModuleList) or not hasattr(layers[-1], FEED_FORWARD):
        return None
    return layers[-1]
