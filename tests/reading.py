"""What a reader shows of a model, in the order in which a test looks at it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor
from transformers import PreTrainedModel

from pipeline.features import EMBEDDING, Seen, Tap
from pipeline.models.taps import Reader


class Layers(NamedTuple):
    """Embedding output, hidden states, and (query, key) of some layers."""

    embedding: Tensor
    hidden: tuple[Tensor, ...]
    attention: tuple[tuple[Tensor, Tensor], ...]


def taps_of(layers: Sequence[int], *, attention: bool = True) -> tuple[Tap, ...]:
    what = ("hidden", "query", "key") if attention else ("hidden",)
    return (EMBEDDING, *(Tap(kind, layer) for kind in what for layer in sorted(set(layers))))


def layers_of(seen: Seen, layers: Sequence[int]) -> Layers:
    pairs = tuple(
        (seen[Tap("query", layer)], seen[Tap("key", layer)]) for layer in layers if Tap("query", layer) in seen
    )
    return Layers(seen[EMBEDDING], tuple(seen[Tap("hidden", layer)] for layer in layers), pairs)


def read_layers(
    model: PreTrainedModel, layers: Sequence[int], batch: Mapping[str, Tensor], *, attention: bool = True
) -> Layers:
    return layers_of(Reader(model, taps_of(layers, attention=attention))(batch), layers)
