"""Batches of rows of unlike lengths, for the tests of the losses."""

from typing import Any

import torch
from hypothesis import settings
from hypothesis import strategies as st

from pipeline.distillation.attention_loss import Attention

QUICK = settings(max_examples=25, deadline=None)


@st.composite
def row_lengths(draw: Any) -> list[int]:
    return draw(st.lists(st.integers(1, 7), min_size=1, max_size=4))


def mask_of(lengths: list[int], extra: int = 0) -> torch.Tensor:
    return torch.arange(max(lengths) + extra) < torch.tensor(lengths)[:, None]


def attention(
    seed: int, batch: int, heads: int, length: int, width: int, dtype: torch.dtype = torch.float32
) -> Attention:
    """Queries and keys as models hand them out: transposed views of (batch, length, heads, width)."""
    random = torch.Generator().manual_seed(seed)
    shape = (batch, length, heads, width)
    return Attention(*(torch.randn(shape, generator=random, dtype=dtype).transpose(1, 2) for _ in range(2)))


def leaves(model: Attention) -> Attention:
    """The same values, to differentiate by."""
    return Attention(*(x.detach().requires_grad_() for x in model))
