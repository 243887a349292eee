"""Masking for masked-language-model training (Devlin et al. 2019, section 3.1)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.features import IGNORED


def mask_tokens(
    input_ids: NDArray[np.int64],
    maskable: NDArray[np.bool_],
    *,
    probability: float,
    mask_id: int,
    vocab_size: int,
    key: tuple[int, int],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose positions to predict: 80% become [MASK], 10% another word piece, 10% stay.

    Args:
        input_ids: (batch, length).
        maskable: (batch, length), False for padding and special tokens.
        probability: share of the maskable positions to predict; at least one position a batch is.
        mask_id: id of [MASK].
        vocab_size: random word pieces are drawn below it.
        key: (seed, step); the random positions depend on nothing else.

    Returns:
        The masked input and the labels, both (batch, length); labels are ``IGNORED`` where nothing is predicted.
    """
    random = np.random.Generator(np.random.PCG64(list(key)))
    draw: NDArray[Any] = random.random(input_ids.shape)
    chosen = maskable & (draw < probability)
    if not chosen.any():
        chosen = maskable & (draw == np.where(maskable, draw, 2.0).min())
    how = random.random(input_ids.shape)
    masked = np.where(chosen & (how < 0.8), mask_id, input_ids)
    other = random.integers(vocab_size, size=input_ids.shape)
    masked = np.where(chosen & (how >= 0.9), other, masked)
    return masked, np.where(chosen, input_ids, IGNORED)
