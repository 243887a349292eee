"""What is read from a model for distillation: embeddings, hidden states, queries and keys."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


class Attention(NamedTuple):
    """The two factors of one layer's attention scores, each (batch, heads, length, d_head)."""

    query: Tensor
    key: Tensor


@dataclass(frozen=True)
class Features:
    """The features of the mapped layers, in order of the student's layers.

    Attributes:
        embedding: (batch, length, d), the embedding layer's output (hidden state 0).
        hidden_states: one (batch, length, d) a mapped layer.
        attention: one ``Attention`` a mapped layer.
    """

    embedding: Tensor
    hidden_states: tuple[Tensor, ...]
    attention: tuple[Attention, ...]
