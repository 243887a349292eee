"""An encoder's output at some places only: what its last layer would compute for the others is left out."""

from collections.abc import Callable, Mapping
from threading import local
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

Places = Callable[[Mapping[str, Tensor], list[int], list[int]], Tensor]
FEED_FORWARD = "feed_forward_chunk"  # BERT, RoBERTa, ELECTRA and their like; a function of one token at a time


def hidden_at(model: PreTrainedModel) -> Places:
    """The last hidden states of a model at given rows and columns of a batch, (places, hidden).

    Attention of the last layer needs every token; its feed-forward half, two thirds of a layer's products, does not.
    Where the layer does not say which half that is, all of it is computed. Threads may share a model; called in
    any other way it computes what it always did.
    """
    encoder = model.base_model
    last = _last_layer(encoder)
    if last is None:
        return lambda inputs, rows, columns: encoder(**inputs)[0][rows, columns]
    wanted, whole = local(), getattr(last, FEED_FORWARD)

    def feed(attended: Tensor) -> Any:
        places = getattr(wanted, "places", None)
        return whole(attended if places is None else attended[places][:, None])  # each as a row of one token

    def at(inputs: Mapping[str, Tensor], rows: list[int], columns: list[int]) -> Tensor:
        wanted.places = (rows, columns)
        try:
            return encoder(**inputs)[0][:, 0]
        finally:
            wanted.places = None

    setattr(last, FEED_FORWARD, feed)
    return at


def _last_layer(encoder: nn.Module) -> nn.Module | None:
    """The last layer, if it is one whose halves can be told apart."""
    layers = getattr(getattr(encoder, "encoder", None), "layer", None)
    if not isinstance(layers, nn.ModuleList) or not hasattr(layers[-1], FEED_FORWARD):
        return None
    return layers[-1]
