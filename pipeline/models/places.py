"""An encoder's output at some places only: what its last layer would compute for the others is left out."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

Places = Callable[[Mapping[str, Tensor], list[int], list[int]], Tensor]
ONE_AT_A_TIME = Lock()  # threads may share a model, whose layer is another while it runs
FEED_FORWARD = "feed_forward_chunk"  # BERT, RoBERTa, ELECTRA and their like; a function of one token at a time


def hidden_at(model: PreTrainedModel) -> Places:
    """The last hidden states of a model at given rows and columns of a batch, (places, hidden).

    Attention of the last layer needs every token; its feed-forward half, two thirds of a layer's products, does not.
    Where the layer does not say which half that is, all of it is computed.
    """
    encoder = model.base_model
    last = _last_layer(encoder)

    def at(inputs: Mapping[str, Tensor], rows: list[int], columns: list[int]) -> Tensor:
        if last is None:
            return encoder(**inputs)[0][rows, columns]
        with ONE_AT_A_TIME, _feeding_only(last, rows, columns):
            return encoder(**inputs)[0][:, 0]

    return at


def _last_layer(encoder: nn.Module) -> Any:
    """The last layer, if it is one whose halves can be told apart."""
    layers = getattr(getattr(encoder, "encoder", None), "layer", None)
    if not isinstance(layers, nn.ModuleList) or not hasattr(layers[-1], FEED_FORWARD):
        return None
    return layers[-1]


@contextmanager
def _feeding_only(layer: Any, rows: list[int], columns: list[int]) -> Iterator[None]:
    """Let the layer's second half see some of the tokens, each as a row of one."""
    whole = getattr(layer, FEED_FORWARD)
    setattr(layer, FEED_FORWARD, lambda attended: whole(attended[rows, columns][:, None]))
    try:
        yield
    finally:
        delattr(layer, FEED_FORWARD)  # the class has it still
