"""The words that models, losses and guides share: what can be read from a model, and what a training step is.

A ``Tap`` names one thing that a model can show of a batch, ``Seen`` maps taps to tensors. A term of a loss asks its
student and its guide for taps; a model's reader, a stored table or a second model answers. Torch is not loaded here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

What = Literal["embedding", "hidden", "query", "key", "output"]
Outcome = Literal["classes", "value", "masked_words"]


class Tap(NamedTuple):
    """One thing that a model can show of a batch.

    Attributes:
        what: ``embedding`` (batch, length, d) is the output of the embedding layer; ``hidden`` (batch, length, d) the
            output of a layer; ``query`` and ``key`` (batch, heads, length, d_head) the factors of a layer's attention
            scores; ``output`` what a head gives: logits (batch, choices), of a masked-LM head (masked positions,
            word pieces).
        layer: 1 for the first layer; 0 where the question does not arise.
        head: which head an output is of; empty for the model's own, ``mlm`` for a masked-LM head.
    """

    what: What
    layer: int = 0
    head: str = ""


Seen = Mapping[Tap, "Tensor"]
IGNORED = -100  # the label of a position that is not predicted
EMBEDDING, OUTPUT, MASKED_WORDS = Tap("embedding"), Tap("output"), Tap("output", head="mlm")


def hidden_state(layer: int) -> Tap:
    """The tap of a hidden state; number 0 is the embedding layer's output."""
    return Tap("hidden", layer) if layer else EMBEDDING


@dataclass(frozen=True)
class Anatomy:
    """What a term must know of a model to be built for it, or refused.

    Attributes:
        name: of the model, for messages.
        layers: number of Transformer layers.
        width: of the embedding output and of every hidden state.
        heads: attention heads of a layer.
    """

    name: str
    layers: int
    width: int
    heads: int


@dataclass(frozen=True)
class Moment:
    """Where a training step stands in its training.

    Attributes:
        counts: rows, tokens and so on of the whole step, over all its batches and processes (``training/counts.py``);
            None counts the rows at hand.
        progress: steps taken divided by all steps, from 0 to below 1; weight and temperature schedules are functions
            of it.
    """

    counts: Mapping[str, float] | None = None
    progress: float = 0.0
